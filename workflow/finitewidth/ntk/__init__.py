"""The tangent kernel of given networks: a batch of perceptrons, or any ``torch.nn.Module``.

It may import `core`, `models`. Start at `network.py`, which a notebook calls.
"""
