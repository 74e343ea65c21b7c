"""The tangent kernel of perceptrons: infinite width, first order, exact moments, limits.

It may import `theory.gaussian`, `theory.mlp`. Start at `infinite_width_ntk.py`.
"""
