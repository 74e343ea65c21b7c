"""What networks see: sets of input vectors, a user's arrays, labelled images.

It may import `core` and `extensions`. Start at `inputs.py`.
"""
