"""Compiled kernels that draw networks without leaving the processor's cache.

They may import `core`, `models` and `sampling/layers`, and other files of `sampling` import them.
Start at `marginal.py` and `networks.py`; below stand `sums.py`, `covariance.py`, `activations.py`,
`drawing.py`, and at the bottom `lanes.py`. Tangent kernels start at `tangents.py` and `scalars.py`.
"""
