"""One member of a config, as plain data, predicted by whatever fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.models.law import Law
from finitewidth.models.parameterisation import Rates
from finitewidth.quantities.vocabulary import FAMILIES, FROM_NTK
from finitewidth.theory.mlp.kernel import overlaps
from finitewidth.theory.mlp.transport import transport_ladder
from finitewidth.theory.predict.neglected import with_neglected
from finitewidth.theory.predict.predict_ladder import predict_ladder
from finitewidth.theory.predict.predict_ntk import predict_ntk, predict_ntk_ladder
from finitewidth.theory.predict.predict_preactivations import predict

#: Quantity of a ladder -> the moment of a transported law that it is.
_TRANSPORTED = {
    "kernel_mean": "mean",
    "kernel_covariance": "variance",
    "kernel_third": "third",
    "inverse_kernel_mean": "inverse_mean",
    "log_kernel_mean": "log_mean",
    "log_kernel_variance": "log_variance",
}


def _transported(
    laws: list[Law], x: np.ndarray, layers: Sequence[int], families: Sequence[str]
) -> dict[str, np.ndarray]:
    """What is exact of each input alone, for an activation of which no closed form is known."""
    if laws[0].activation.slopes is not None:
        return {}
    found = transport_ladder(laws, x, layers).values
    wanted = {quantity for family in families for quantity in FAMILIES[family].names}
    return {name: getattr(found, moment) for name, moment in _TRANSPORTED.items() if name in wanted}


def _predicted(member: Mapping, law: Law, x: np.ndarray) -> xr.Dataset:
    of_ntk = [family for family in member["estimate"] if family in FROM_NTK]
    rest = [family for family in member["estimate"] if family not in FROM_NTK]
    theory = predict(
        law,
        x,
        member["layers"],
        [family for family in rest if FAMILIES[family].theory],
        neurons=min(4, member["record"]),
        networks=member["networks"],
    )
    # How far rounding takes ways of computing one number apart is no matter of theory.
    of_ntk = [family for family in of_ntk if FAMILIES[family].theory]
    if of_ntk:
        rates = Rates.of_member(member, law)
        theory = theory.merge(predict_ntk(law, rates, x, member["layers"], of_ntk))
    return theory


def predict_member(member: Mapping, x: np.ndarray) -> xr.Dataset:
    """Every order of theory for a member on the inputs x (inputs, n_0), and what each leaves out.

    ``member`` is a :class:`finitewidth.planning.members.Member` as plain data; its C_b and C_W, and
    how they were chosen, become attributes, and n_0 (``dimension``). Raises ``ValueError`` as the
    predictions do.
    """
    rates = None
    if member["ladder"] is not None:
        laws = Law.of_ladder(member, dimension=x.shape[1])
        exact = _transported(laws, x, member["layers"], member["estimate"])
        families = [family for family in member["estimate"] if FAMILIES[family].theory]
        theory = predict_ladder(laws, x, member["layers"], families, exact)
        if "ntk_mean" in member["estimate"]:
            rates = [Rates.of_member(member, law) for law in laws]
            theory = theory.merge(predict_ntk_ladder(laws, rates, x, member["layers"]))
    else:
        laws = [Law.of_member(member, dimension=x.shape[1])]
        if any(family in FROM_NTK for family in member["estimate"]):
            rates = [Rates.of_member(member, laws[0])]
        theory = _predicted(member, laws[0], x)
    theory = with_neglected(theory, laws, x, rates)
    if rates is not None and "pair" not in theory.dims:
        # Tangent kernels depend on these alone, so that their theory can be drawn in between.
        a, b = pairs(len(x)).T
        theory = theory.assign_coords(pair_a=("pair", a), pair_b=("pair", b))
    if "pair" in theory.dims:
        a, b = theory["pair_a"].values, theory["pair_b"].values
        about = {"long_name": "x_a . x_b / n_0 of the inputs", "units": "1"}
        theory = theory.assign_coords(overlap=("pair", overlaps(x)[a, b], about))
    chosen = {key: member[key] for key in ("activation", "init", "C_b", "C_W")}
    chosen["dimension"] = x.shape[1]
    return theory.assign_attrs({k: v for k, v in chosen.items() if v is not None})
