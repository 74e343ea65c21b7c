"""Stochastic gradient descent on all replicas together.

It may import `replica_axes.py` and `memory.py` beside it. Start at `epochs.py`;
`steps.py` makes the gradient of a batch, `networks.py` evaluates.
"""
