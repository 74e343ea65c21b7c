"""Figures of preactivations and of their kernels.

It may import `figures.common` and what that may. Start at `covariance.py`.
"""
