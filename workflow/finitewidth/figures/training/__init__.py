"""Figures of random ensembles along their training.

It may import `figures.common`. Start at `predictions.py`.
"""
