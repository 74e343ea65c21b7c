"""What a network is: activations, the law of a perceptron, layers, learning rates.

It may import `core` and `extensions`. Start at `law.py`.
"""
