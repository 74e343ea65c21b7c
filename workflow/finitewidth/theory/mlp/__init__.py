"""Moments of perceptrons: infinite width, 1/n, 1/n^2, and exactly where that is known.

It may import `theory.gaussian`. Start at `kernel.py`, then `vertex.py`.
"""
