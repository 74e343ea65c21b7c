"""What all figures share: style, panels, axes, series of members.

It may import `comparison` and what that may, `theory`. Start at `style.py`.
"""
