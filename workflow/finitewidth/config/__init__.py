"""The model of a study file: keys, their bounds, and what does not go together.

It may import `core`, `models`, `quantities`, and of theory `mlp/criticality.py`. Start at
`model.py`.
"""
