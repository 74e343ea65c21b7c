"""What inputs tell of an ensemble that is trained, checked before any job.

That they have one dimension; that no network of the ensemble should diverge; and that neither its
gradient flow nor its theory takes forever.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from finitewidth.config.model import Config
from finitewidth.config.model_ensemble import Ensemble
from finitewidth.core.errors import ConfigError
from finitewidth.data.inputs import vectors
from finitewidth.planning.member import Training
from finitewidth.planning.members import members

#: Most times that the fastest mode of a kernel decays by e in gradient flow: 5 steps each.
_MOST_DECAYS = 2e4
#: Most layers of a network that is trained: its theory goes through them one by one.
_MOST_LAYERS = 256


def check_trainings(config: Config, *, of_files: bool, folder: str | Path = ".") -> None:
    """Raise a :class:`ConfigError` for the first ensemble that cannot be trained as it says.

    ``of_files`` says which ensembles are looked at: those of which some inputs or targets stand in
    a user's file, or all others, of which the study file tells everything. Paths are from
    ``folder``.
    """
    for name, ensemble in config.ensembles.items():
        if ensemble.train is None:
            continue
        sets = [ensemble.train.inputs, *ensemble.inputs]
        if any(hasattr(config.inputs[each], "file") for each in sets) == of_files:
            _check(config, name, ensemble, folder)


def _check(config: Config, name: str, ensemble: Ensemble, folder: str | Path) -> None:
    train = ensemble.train
    assert train is not None

    def made(each: str) -> np.ndarray:
        spec = config.inputs[each].model_dump()
        if "file" in spec:
            spec["file"] = os.path.join(folder, spec["file"])
        return vectors(each, spec, config.seed)

    x = made(train.inputs)
    for each in ensemble.inputs:
        if each != train.inputs and (dimension := made(each).shape[1]) != x.shape[1]:
            given = f"{each}, vectors of {dimension} components"
            allowed = f"vectors of {x.shape[1]}, as those of {train.inputs} have"
            raise ConfigError.at(f"ensembles.{name}.inputs", given, allowed)
    # Only here, since most study files train nothing.
    from finitewidth.theory.training.stability import stable_learning_rate

    for m in members(config, name):
        assert isinstance(m, Training)
        of = f"{m.activation}, width {m.width}, depth {m.depth}"
        path = f"ensembles.{name}.train"
        if m.depth > _MOST_LAYERS:
            allowed = f"at most {_MOST_LAYERS} where networks are trained"
            raise ConfigError.at(f"ensembles.{name}.depth", m.depth, allowed)
        if train.learning_rate is None:
            most = _MOST_DECAYS / 2 * stable_learning_rate(m, x, spread=False)
            if not train.end <= most:
                allowed = f"times up to {most:.3g} at {of}: later takes too many steps"
                raise ConfigError.at(f"{path}.times", train.end, allowed)
        elif train.learning_rate >= (most := stable_learning_rate(m, x)) or math.isnan(most):
            allowed = (
                f"a number below {most:.3g} at {of}: beyond it one network in very many diverges,"
                " or more do"
            )
            raise ConfigError.at(f"{path}.learning_rate", train.learning_rate, allowed)
