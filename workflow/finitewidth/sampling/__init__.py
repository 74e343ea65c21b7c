"""Ensembles of random networks, drawn block by block, and what is kept of them.

It may import `core`, `models`, `quantities`, `ntk`. Start at `ensemble.py`.
"""
