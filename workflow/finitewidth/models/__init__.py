"""What a network is: activations, layers, architectures made of them, learning rates, optimisers.

It may import `core` and `extensions`. Start at `architecture.py`.
"""
