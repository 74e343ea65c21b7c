"""Random valid studies run to tables and figures; every number has an error or a reason."""

import os
import warnings

import numpy as np
import pytest

from finitewidth.config.model_ensemble import MEASURES
from finitewidth.data import inputs as input_vectors
from finitewidth.models.activations import table as activations
from finitewidth.quantities.vocabulary import FAMILIES, FIGURES
from random_studies import ACTIVATIONS, KINDS, accepted, drawn
from whole_runs import run

#: Studies of each kind that are run, from this seed on, more where CI runs the tests; `make
#: calibrate` runs hundreds.
COUNT, SEED = 3 if os.environ.get("CI") else 2, 5000


def studies(kind, count=COUNT):
    """Seeds of a kind."""
    first = SEED + 100 * list(KINDS).index(kind)
    return range(first, first + count)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_check_accepts_runs_to_its_end(kind, tmp_path):
    """A trusted z beyond 6 has odds of 2e-9 a row, some 1e4 rows are held against exact theory."""
    ran = 0
    for seed in studies(kind, 10 * COUNT):
        if ran == COUNT:
            break
        folder = tmp_path / str(seed)
        folder.mkdir()
        config, _ = accepted(drawn(seed, folder, kind), folder)
        if config is None:
            continue
        with warnings.catch_warnings():
            # What a job writes into its log.
            warnings.simplefilter("ignore")
            found = run(config, folder)
        assert not found.faults, (seed, found.faults)
        ran += 1
    assert ran == COUNT


def test_most_of_what_is_drawn_is_accepted(tmp_path):
    taken = [accepted(drawn(seed, tmp_path), tmp_path)[0] for seed in range(60)]
    assert sum(config is not None for config in taken) > 40


def test_every_word_of_a_study_file_is_drawn(tmp_path):
    """Of 600 files: else the generator keeps off what it is there for."""
    seen = {"activations": set(), "measures": set(), "families": set(), "figures": set(),
            "kinds": set()}  # fmt: skip
    for seed in range(600):
        content = drawn(seed, tmp_path)
        seen["kinds"] |= {inputs["kind"] for inputs in content["inputs"].values()}
        for ensemble in content["ensembles"].values():
            seen["activations"] |= set(np.atleast_1d(ensemble["activation"]).tolist())
            seen["measures"] |= set(ensemble.get("measure", ["preactivations"]))
            seen["families"] |= set(ensemble["estimate"])
        seen["figures"] |= set(content["studies"]["s"].get("figures") or [])
    undrawn = sorted(set(input_vectors.KINDS) - seen["kinds"])
    assert not undrawn, f"draw inputs of {', '.join(undrawn)} in inputs of random_inputs.py"
    assert seen["activations"] >= set(ACTIVATIONS) >= set(activations.TABLE)
    assert seen["measures"] == set(MEASURES)
    assert seen["families"] == set(FAMILIES)
    assert seen["figures"] == set(FIGURES)
