"""What networks see: sets of input vectors, a user's arrays, labelled images.

It may import `core`. Start at `inputs.py`.
"""
