"""Compiled kernels that draw networks without leaving the processor's cache.

They may import `core`, `models` and what `sampling` has beside them in `record.py` and
`ensemble.py`. Start at `networks.py`; below it stand `sums.py`, `covariance.py`, `activations.py`,
`drawing.py`, and at the bottom `lanes.py`. No study draws from them yet.
"""
