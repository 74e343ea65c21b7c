"""What is measured and drawn, in words: what a study file may ask for, and what theory gives.

It may import `core` and `extensions`. Start at `vocabulary.py`.
"""
