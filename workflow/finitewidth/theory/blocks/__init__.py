"""Networks made of blocks to first order in 1/n: streams with skips and norms.

It may import `core`, `models`, `theory/gaussian`. Start at `first_order.py`.
"""
