"""Figures of what others published, beside what is measured here.

It may import of the figures `common`, and what every figure may (docs/architecture.md).
"""
