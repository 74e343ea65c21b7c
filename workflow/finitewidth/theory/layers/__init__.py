"""Networks of any layers at infinite width: one file of steps a kind of layer.

It may import `core`, `models` and `theory/gaussian`. Start at `infinite_width.py`.
"""
