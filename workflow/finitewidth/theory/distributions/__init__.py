"""Distributions at finite width: CDFs, densities and quantiles.

It may import `theory.gaussian`. Start at `scale_invariant.py`.
"""
