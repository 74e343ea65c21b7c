"""Standard errors, and when they can be believed.

It may import `core`, and `samples.py` beside it. Start at `jackknife.py`, then `trust.py`.
"""
