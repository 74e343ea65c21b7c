"""Ensembles of random perceptrons under gradient descent, with every weight drawn or without.

It may import `sampling.layers`, `sampling.mlp` and what stands below these. Start at
`training_ensemble.py`.
"""
