"""Populations: networks that are grown towards the ones that carry a moment (docs/estimates.md).

May import the rest of ``sampling`` but what samples whole members. Begin with ``populations.py``.
"""
