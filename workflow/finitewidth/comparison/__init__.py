"""Theory beside estimates: tables, their pages and captions.

It may import `runtime` and what that may. Start at `compare.py`.
"""
