"""Figures of tangent kernels.

It may import `figures.common` and what that may. Start at `concentration.py`.
"""
