"""The fast ways of perceptrons: every weight drawn, or the weights integrated out exactly.

It may import what `sampling` may, and `record.py` and `streams.py` beside it. Start at
`marginal.py`.
"""
