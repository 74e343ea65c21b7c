"""Estimates from ladders: widths coupled by common random numbers, with control variates.

It may import `estimate.errors`, `estimate.preactivations`. Start at `rungs.py`.
"""
