"""Gaussian expectations: an activation and a covariance, and no network.

It may import `core`, `models`. Start at `expectations.py`.
"""
