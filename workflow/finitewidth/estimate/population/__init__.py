"""Moments from populations, in place of those that plain networks cannot tell (docs/estimates.md).

May import ``preactivations`` and ``errors``. Begin with ``beside.py``.
"""
