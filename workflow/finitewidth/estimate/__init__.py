"""Estimates with errors from samples: a dataset a member.

It may import `core`, `quantities`. Start at `families.py`.
"""
