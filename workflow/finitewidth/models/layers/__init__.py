"""The kinds of layers, one file each: what fixes the layer, and the law of its weights.

It may import `core` and the activations. Start at `layer.py`. To add a kind, add a file beside
`dense.py` and the steps that it takes (docs/architecture.md).
"""
