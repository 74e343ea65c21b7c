"""Activations: each is a module here of its own name, and nothing else names it.

To add one, add a file ``<name>.py`` beside `tanh.py` (docs/architecture.md). It may import `core`
and `extensions`. Start at `activation.py`, then `table.py`.
"""
