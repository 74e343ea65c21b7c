"""Trained networks: replicas, what is measured of them, and networks generated anew.

It may import `core`, `models`, `data`. Start at `trained_member.py`.
"""
