"""Figures of trained networks.

It may import `figures.common` and what that may. Start at `latent.py`.
"""
