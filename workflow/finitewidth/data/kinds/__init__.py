"""Kinds of input vectors: each is a module here of its own name, and nothing else names it.

It may import `core` and `data/arrays.py`. Start at `arc.py`.
"""
