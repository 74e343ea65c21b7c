"""The earlier name of a perceptron."""

from finitewidth.models.perceptron import Perceptron as Law

__all__ = ["Law"]
