"""The table of optimisers, by the word of a study file."""

from finitewidth.models.optimisers.optimiser import Optimiser
from finitewidth.models.optimisers.sgd import SGD

TABLE: dict[str, Optimiser] = {"sgd": SGD}
