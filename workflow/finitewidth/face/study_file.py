"""A study file in a program: its members, sampled, estimated and predicted as jobs do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

from finitewidth.comparison.results import MemberResults, Study, beside, together
from finitewidth.config.model import Config
from finitewidth.core.errors import meant, one_of
from finitewidth.core.words import check_word, named
from finitewidth.data.input_sets import dataset
from finitewidth.estimate.estimate_member import estimate_member
from finitewidth.estimate.preactivations.normality import normality
from finitewidth.face.computing import as_a_job
from finitewidth.face.progress import bar
from finitewidth.members.inputs import TrainingInputs, inputs_of
from finitewidth.members.listed import listed
from finitewidth.members.stages import Tabulated, estimated, predicted, sampled
from finitewidth.members.trained import TabulatedReplicas
from finitewidth.planning.member import Member as Planned
from finitewidth.planning.members import members
from finitewidth.provenance import projections
from finitewidth.study.given_files import check_given
from finitewidth.study.study_file import content, merged, validate
from finitewidth.theory.predict.predict_member import predict_member


@dataclass(frozen=True)
class Member:
    """One member of an ensemble of a study file: networks of one law.

    Attributes
    ----------
    config : Config
        The study file, with every default filled in.
    about : planning.member.Member
        What its networks are, and what is measured of them.
    """

    config: Config
    about: Planned

    @property
    def name(self) -> str:
        """``ensemble/member``, by which :attr:`StudyFile.members` has it."""
        return f"{self.about.ensemble}/{self.about.name}"

    @property
    def swept(self) -> Mapping[str, Any]:
        """The swept keys with this member's values."""
        return MappingProxyType(self.about.swept)

    @cached_property
    def inputs(self) -> np.ndarray | TrainingInputs:
        """Its input vectors, shape (inputs, n_0); with targets where it is trained."""
        sets = [_vectors(self.config, name) for name in self.about.input_sets]
        return inputs_of(sampled(self._part["member"]), sets)

    @property
    def _part(self) -> dict:
        return projections.sample(self.config, self.about, 0)

    @named
    def sample(self, *, progress: bool = True) -> xr.Dataset:
        """All its networks, as the workflow's shards hold them together."""
        member = sampled(self._part["member"])
        islands = self.about.population.islands if self.about.population else None
        device = self._part["device"]
        with as_a_job(device) as on, bar(self.name, progress) as told:
            from finitewidth.sampling.sample_member import sample_member

            return sample_member(
                member, self.inputs, seed=self.config.seed, device=on,
                blocks=(0, self.about.blocks), islands=(0, islands) if islands else None,
                on_tile=told,
            )  # fmt: skip

    @named
    def estimate(self, samples: xr.Dataset) -> xr.Dataset:
        """Its estimates from its samples, tests of normality among them where it has any.

        Raises ``ValueError`` in one sentence, where a dataset is none of samples.
        """
        if "network" not in samples.coords:
            raise ValueError("samples: given a dataset without networks, allowed are its samples")
        found = self._estimates(samples)
        return found[0] if found[1] is None else beside(self._listed, found[0], xr.Dataset(),
                                                        found[1]).estimates  # fmt: skip

    def _estimates(self, samples: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset | None]:
        taken = projections.estimate(self.config, self.about)
        found = estimate_member(estimated(taken["member"]), [samples], seed=taken["seed"])
        if "normality" not in self.about.estimate:
            return found, None
        tests = self.about.normality
        return found, normality(
            samples,
            seed=self.config.seed,
            ensemble=self.about.ensemble,
            member=self.about.name,
            groups=tests.groups,
            networks=tests.networks,
            neurons=tests.neurons,
        )

    def predict(self) -> xr.Dataset:
        """What theory says of it, order by order."""
        return predict_member(predicted(projections.theory(self.about)["member"]), self.inputs)

    @property
    def _listed(self) -> Tabulated:
        entry = projections.listed(self.about)
        about, _ = listed(entry)
        assert not isinstance(about, TabulatedReplicas)
        return about

    def results(self, *, progress: bool = True) -> MemberResults:
        """It all: sampled, estimated, and theory beside."""
        estimates, tests = self._estimates(self.sample(progress=progress))
        return beside(self._listed, estimates, self.predict(), tests)

    def __repr__(self) -> str:
        return f"<Member {self.name}: {self.about.networks} networks>"


class Members(Mapping[str, Member]):
    """Members by their names, or by their places; a misspelt name is told the others."""

    def __init__(self, each: Mapping[str, Member]) -> None:
        self._each = dict(each)

    def __getitem__(self, key: str | int) -> Member:
        if isinstance(key, int):
            return list(self._each.values())[key]
        if key in self._each:
            return self._each[key]
        guess = f" ({m})" if (m := meant(key, self._each)) else ""
        raise KeyError(f"members: given {key!r}{guess}, allowed is {one_of(self._each)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._each)

    def __len__(self) -> int:
        return len(self._each)

    def __repr__(self) -> str:
        return f"<Members {', '.join(self._each)}>"


@dataclass(frozen=True)
class StudyFile:
    """A study file, checked, with its members.

    Attributes
    ----------
    config : Config
        Every key, with every default filled in.
    members : Members
        Of all ensembles, by ``ensemble/member``.
    """

    config: Config
    members: Members

    @property
    def studies(self) -> list[str]:
        """Names of its studies."""
        return list(self.config.studies)

    @named
    def inputs(self, name: str) -> xr.Dataset:
        """The set of input vectors of that name: ``x``, and ``target`` where it has targets."""
        return _vectors(self.config, check_word("inputs", name, self.config.inputs))

    @named
    def run(self, study: str | None = None, *, progress: bool = True) -> Study:
        """Sample, estimate and predict the members of a study, of all ensembles where left out.

        Returns
        -------
        Study
            For :func:`finitewidth.compare` and :func:`finitewidth.draw`; ``members`` hold
            ``estimates`` and ``theory``.

        Raises
        ------
        ValueError
            In one sentence: a misspelt name, or a study of trained networks, which the workflow
            runs.
        """
        name, title, quantities, wanted = "all", None, None, list(self.members)
        published: list[Mapping] = []
        if study is not None:
            given = self.config.studies[check_word("study", study, self.config.studies)]
            name, title, quantities = study, given.title, given.quantities
            if given.trained:
                raise ValueError(f"the study {study} has trained networks: the workflow runs it")
            published = [each.model_dump() for each in given.published or []]
            inside = set(given.ensembles or [])
            wanted = [key for key, m in self.members.items() if m.about.ensemble in inside]
        each = [self.members[key].results(progress=progress) for key in wanted]
        return replace(together(name, title, quantities, each, []), published=published)

    def __repr__(self) -> str:
        return f"<StudyFile with {len(self.members)} members, studies {', '.join(self.studies)}>"


@named
def load_study(given: str | Path | Mapping[str, Any], **over: Any) -> StudyFile:
    """Read a study file, or a mapping that says the same, and check it.

    Parameters
    ----------
    given : path or mapping
        ``inputs``, ``ensembles``, ``studies``, ...: config/README.md has every key. ``seed`` is 0
        where a mapping leaves it out.
    **over
        Keys that are laid on top, as by ``--config``: ``load_study("config.yaml", seed=2)``.

    Raises
    ------
    ConfigError
        In one sentence, which names the key, what was given and what is allowed.
    """
    if isinstance(given, Mapping):
        said = merged({"seed": 0, "studies": {}, **given}, over)
    else:
        said = content([given], over)
    config = validate(said)
    check_given(config)
    found = [Member(config, m) for name in config.ensembles for m in members(config, name)]
    return StudyFile(config, Members({m.name: m for m in found}))


def _vectors(config: Config, name: str) -> xr.Dataset:
    about = projections.vectors(config, name)
    return dataset(name, about["spec"], about["seed"])
