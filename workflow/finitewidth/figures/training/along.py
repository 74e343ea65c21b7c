"""What figures of trained ensembles share: one number of a quantity, measured and in theory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from finitewidth.comparison.results import MemberResults
from finitewidth.figures.common import style
from finitewidth.figures.common.member_series import Measured, without_width
from finitewidth.figures.training.predictions import is_flow


@dataclass(frozen=True)
class Number:
    """A quantity at a moment, of output 0 and of the input ``at``, with itself where it has two."""

    name: str
    at: int = 0
    moment: int = -1

    def place(self, values: xr.Dataset | xr.DataArray) -> dict[str, int]:
        """Where it stands."""
        dims = (values[self.name] if isinstance(values, xr.Dataset) else values).dims
        found = {"moment": self.moment, "output": 0, "input": self.at}
        if "pair" in dims:
            own = (values["pair_a"].values == self.at) & (values["pair_b"].values == self.at)
            found["pair"] = int(np.flatnonzero(own)[0])
        return {dim: place for dim, place in found.items() if dim in dims}

    def is_known(self, m: MemberResults) -> bool:
        """Whether the member measures it, with an error."""
        if self.name not in m.estimates:
            return False
        values = m.estimates
        if "pair" in values[self.name].dims:
            own = (values["pair_a"].values == self.at) & (values["pair_b"].values == self.at)
            if not own.any():
                return False
        return bool(np.isfinite(float(values[self.name].isel(self.place(values)))))

    def measured(self, m: MemberResults) -> Measured:
        """The estimate."""
        return Measured.of(m.estimates, self.name, **self.place(m.estimates))

    def predicted(self, m: MemberResults, order: str) -> float:
        """What an order says, NaN where it says nothing."""
        values = style.predicted(m.theory, self.name, order)
        return np.nan if values is None else float(values.isel(self.place(values)))

    def coefficient(self, sweep: MemberResults) -> Measured | None:
        """What a sweep's widths are extrapolated to, times n, if they are."""
        first = Number(f"{self.name}_1", self.at, self.moment)
        return first.measured(sweep) if first.is_known(sweep) else None


def together(measured: list[Measured]) -> Measured:
    """Numbers side by side."""
    return Measured(*(np.array([float(x) for x in parts]) for parts in zip(*measured, strict=True)))


def last(m: MemberResults) -> str:
    """The last moment in words."""
    moment = float(m.estimates["moment"][-1])
    return f"time {moment:g}" if is_flow(m) else f"after {moment:g} steps"


def sweep_of(members: list[MemberResults], sweeps: list[MemberResults]) -> MemberResults | None:
    """The extrapolation of members that differ in their width alone, if there is one."""
    for sweep in sweeps:
        if without_width(sweep) == without_width(members[0]):
            return sweep
    return None


def targets(m: MemberResults) -> float:
    """Mean square of the training targets."""
    training = m.theory["is_training"].values
    return float(np.mean(m.theory["target"].values[:, training] ** 2))
