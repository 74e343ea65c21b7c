"""Kernels of infinite width between all inputs of two data sets, a few pairs at a time.

`theory/layers` takes one layer after another of all rows at once, which suits what a study has: a
few inputs, and kernels of every layer. Here a block of pairs goes through all layers and leaves the
kernel of one layer. It may import `core`, `models`, `theory/gaussian` and `theory/layers`. Start at
`data_sets.py`.
"""
