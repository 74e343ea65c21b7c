"""The datasets of predictions: each quantity of a member, order by order.

It may import the rest of `theory`. Start at `predict_preactivations.py`.
"""
