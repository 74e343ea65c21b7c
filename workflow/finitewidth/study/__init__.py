"""A study file taken in: read as plain data, checked to the end, refused in one sentence.

It may import `planning`, `data` and what these may. Start at `study_file.py`.
"""
