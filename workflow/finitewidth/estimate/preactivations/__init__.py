"""Families of estimates from preactivations and their means over neurons.

It may import `estimate.errors`. Start at `moments.py`.
"""
