"""Families of estimates from tangent kernels of the last layer.

It may import `estimate.errors`, `estimate.preactivations`. Start at `ntk_estimates.py`.
"""
