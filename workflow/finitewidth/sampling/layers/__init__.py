"""Networks of any layers, drawn: one file of steps a kind of layer, and whole networks of them.

It may import `gaussian_rows.py`, `record.py` and `streams.py` beside it. Start at `networks.py`.
"""
