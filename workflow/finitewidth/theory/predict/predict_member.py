"""One member of a config, predicted by whatever fits it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.members.stages import Predicted, PredictedLadder, PredictedNetworks
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
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
    mlps: list[Perceptron], x: np.ndarray, layers: Sequence[int], families: Sequence[str]
) -> dict[str, np.ndarray]:
    """What is exact of each input alone, for an activation of which no closed form is known."""
    if mlps[0].activation.slopes is not None:
        return {}
    found = transport_ladder(mlps, x, layers).values
    wanted = {quantity for family in families for quantity in FAMILIES[family].names}
    return {name: getattr(found, moment) for name, moment in _TRANSPORTED.items() if name in wanted}


#: The prediction, the laws that it is of, and their rates where there are tangent kernels.
_Found = tuple[xr.Dataset, list[Perceptron], list[LearningRates] | None]


def _networks(member: PredictedNetworks, x: np.ndarray) -> _Found:
    mlp = Perceptron.of_member(member, dimension=x.shape[1])
    of_ntk = [family for family in member.estimate if family in FROM_NTK]
    rest = [family for family in member.estimate if family not in FROM_NTK]
    theory = predict(
        mlp,
        x,
        member.layers,
        [family for family in rest if FAMILIES[family].theory],
        neurons=min(4, member.record),
        networks=member.networks,
    )
    rates = member.rates(mlp) if of_ntk else None
    # How far rounding takes ways of computing one number apart is no matter of theory.
    of_ntk = [family for family in of_ntk if FAMILIES[family].theory]
    if rates and of_ntk:
        theory = theory.merge(predict_ntk(mlp, rates, x, member.layers, of_ntk))
    return theory, [mlp], [rates] if rates else None


def _ladder(member: PredictedLadder, x: np.ndarray) -> _Found:
    mlps = Perceptron.of_ladder(member, dimension=x.shape[1])
    exact = _transported(mlps, x, member.layers, member.estimate)
    families = [family for family in member.estimate if FAMILIES[family].theory]
    theory = predict_ladder(mlps, x, member.layers, families, exact)
    if "ntk_mean" not in member.estimate:
        return theory, mlps, None
    rates = [member.rates(mlp) for mlp in mlps]
    return theory.merge(predict_ntk_ladder(mlps, rates, x, member.layers)), mlps, rates


def predict_member(member: Predicted, x: np.ndarray) -> xr.Dataset:
    """Every order of theory for a member on the inputs x (inputs, n_0), and what each leaves out.

    Attributes of the dataset are C_b and C_W, how they were chosen (``init``), the activation, and
    n_0 (``dimension``). Raises ``ValueError`` as the predictions do.
    """
    if isinstance(member, PredictedLadder):
        theory, mlps, rates = _ladder(member, x)
    else:
        theory, mlps, rates = _networks(member, x)
    theory = with_neglected(theory, mlps, x, rates)
    if rates is not None and "pair" not in theory.dims:
        # Tangent kernels depend on these alone, so that their theory can be drawn in between.
        a, b = pairs(len(x)).T
        theory = theory.assign_coords(pair_a=("pair", a), pair_b=("pair", b))
    if "pair" in theory.dims:
        a, b = theory["pair_a"].values, theory["pair_b"].values
        about = {"long_name": "x_a . x_b / n_0 of the inputs", "units": "1"}
        theory = theory.assign_coords(overlap=("pair", overlaps(x)[a, b], about))
    chosen = {
        "activation": member.activation,
        "init": member.init,
        "C_b": member.C_b,
        "C_W": member.C_W,
        "dimension": x.shape[1],
    }
    return theory.assign_attrs({k: v for k, v in chosen.items() if v is not None})
