"""What training does with a gradient, one file an optimiser, and a table of them.

To add one, add a file beside `sgd.py` and its line in `table.py` (docs/architecture.md). It may
import nothing but what is beside it.
"""
