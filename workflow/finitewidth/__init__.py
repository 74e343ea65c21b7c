"""Ensembles of finite-width networks, measured and held against theory."""

__version__ = "0.1.0"
