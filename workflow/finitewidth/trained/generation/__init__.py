"""Networks drawn from the covariances of trained ones.

It may import `trained.training`, `trained.representations`. Start at `rainbow.py`.
"""
