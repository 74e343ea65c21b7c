"""One member of a config, predicted by whatever fits it.

That is imported where it is used, since few members are in training or made of blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from finitewidth.core.indices import pairs
from finitewidth.members.attributes import attributes, explained
from finitewidth.members.inputs import TrainingInputs
from finitewidth.members.stages import (
    Predicted,
    PredictedLadder,
    PredictedNetworks,
    PredictedTraining,
)
from finitewidth.models.architecture import Architecture
from finitewidth.models.block_network import architecture_of
from finitewidth.models.own_network import OwnShape
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.vocabulary import FAMILIES, FROM_NTK
from finitewidth.theory.mlp.kernel import overlaps
from finitewidth.theory.predict.neglected import with_neglected
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
    from finitewidth.theory.mlp.transport import transport_ladder

    found = transport_ladder(mlps, x, layers).values
    wanted = {quantity for family in families for quantity in FAMILIES[family].names}
    return {name: getattr(found, moment) for name, moment in _TRANSPORTED.items() if name in wanted}


#: The prediction, the laws that it is of, and their rates where there are tangent kernels.
_Found = tuple[xr.Dataset, list[Perceptron], list[LearningRates] | None]


def predict_network(
    network: Perceptron | Architecture,
    x: np.ndarray,
    layers: Sequence[int],
    families: Sequence[str],
    *,
    neurons: int,
    networks: int | None,
    rates: LearningRates | None,
) -> xr.Dataset:
    """Every order of theory for networks of one width, and what each leaves out.

    Parameters
    ----------
    network : Perceptron or Architecture
        An architecture is one made of blocks.
    x : ndarray, shape (inputs, n_0)
    layers : sequence of int
        The recorded layers of results, numbered from 1.
    families : sequence of str
        Those of which theory says nothing are left out.
    neurons : int
        How many neurons ``neuron_covariance`` has.
    networks : int or None
        Size of the ensemble.
    rates : LearningRates or None
        Where families of tangent kernels are among them.

    Raises ``ValueError`` as the predictions do.
    """
    # How far rounding takes ways of computing one number apart is no matter of theory.
    told = [family for family in families if FAMILIES[family].theory]
    known = [rates] if rates else None
    if isinstance(network, Architecture):
        from finitewidth.theory.predict.block_case import BlockCase
        from finitewidth.theory.predict.predict_blocks import predict_blocks

        x = np.asarray(x, dtype=float)
        known = known if set(told) & set(FROM_NTK) else None
        case = BlockCase(network, x, list(layers), neurons, networks, known[0] if known else None)
        theory = with_neglected(predict_blocks(case, told), [], x, known, case)
        return _placed(theory, case.vectors, known)
    rest = [family for family in told if family not in FROM_NTK]
    theory = predict(network, x, layers, rest, neurons=neurons, networks=networks)
    of_ntk = [family for family in told if family in FROM_NTK]
    if rates and of_ntk:
        from finitewidth.theory.predict.predict_ntk import predict_ntk

        more = predict_ntk(network, rates, x, layers, of_ntk)
        theory = theory.merge(more, compat="no_conflicts", join="outer")
    return _placed(with_neglected(theory, [network], x, known, None), x, known)


def _placed(theory: xr.Dataset, x: np.ndarray, rates: Sequence[LearningRates] | None) -> xr.Dataset:
    """The same with the overlaps of pairs of inputs."""
    if rates is not None and "pair" not in theory.dims:
        # Tangent kernels depend on these alone, so that their theory can be drawn in between.
        a, b = pairs(len(x)).T
        theory = theory.assign_coords(pair_a=("pair", a), pair_b=("pair", b))
    if "pair" in theory.dims:
        a, b = theory["pair_a"].values, theory["pair_b"].values
        about = {"long_name": "x_a . x_b / n_0 of the inputs", "units": "1"}
        theory = theory.assign_coords(overlap=("pair", overlaps(x)[a, b], about))
    return theory


def _networks(member: PredictedNetworks, x: np.ndarray) -> xr.Dataset:
    network: Perceptron | Architecture
    if isinstance(member.network, OwnShape):
        from finitewidth.theory.predict.predict_own import predict_own

        few = min(4, member.record)
        return predict_own(member.network, member.width, x, member.layers, member.estimate, few)
    if member.network is not None:
        network = architecture_of(member, x.shape[1])
    else:
        network = Perceptron.of_member(member, dimension=x.shape[1])
    return predict_network(
        network,
        x,
        member.layers,
        member.estimate,
        neurons=min(4, member.record),
        networks=member.networks,
        rates=member.rates(network) if set(member.estimate) & set(FROM_NTK) else None,
    )


def _ladder(member: PredictedLadder, x: np.ndarray) -> _Found:
    from finitewidth.theory.predict.predict_ladder import predict_ladder

    mlps = Perceptron.of_ladder(member, dimension=x.shape[1])
    exact = _transported(mlps, x, member.layers, member.estimate)
    families = [family for family in member.estimate if FAMILIES[family].theory]
    theory = predict_ladder(mlps, x, member.layers, families, exact)
    if "ntk_mean" not in member.estimate:
        return theory, mlps, None
    from finitewidth.theory.predict.predict_ntk import predict_ntk_ladder

    rates = [member.rates(mlp) for mlp in mlps]
    told = predict_ntk_ladder(mlps, rates, x, member.layers)
    return theory.merge(told, compat="no_conflicts", join="outer"), mlps, rates


def predict_member(member: Predicted, x: np.ndarray | TrainingInputs) -> xr.Dataset:
    """Every order of theory for a member on the inputs x (inputs, n_0), and what each leaves out.

    A member that is trained takes its inputs with their targets.
    Attributes of the dataset say what the networks are, and n_0 (``dimension``).
    Raises ``ValueError`` as the predictions do.
    """
    if isinstance(member, PredictedTraining):
        from finitewidth.theory.predict.predict_training import predict_training

        assert isinstance(x, TrainingInputs)
        mlp = Perceptron.of_member(member, dimension=x.x.shape[1])
        return _described(predict_training(member, mlp, member.rates(mlp), x), member, x.x)
    assert isinstance(x, np.ndarray)
    if isinstance(member, PredictedLadder):
        theory, mlps, rates = _ladder(member, x)
        theory = _placed(with_neglected(theory, mlps, x, rates, None), x, rates)
    else:
        theory = _networks(member, x)
    return _described(theory, member, x)


def _described(theory: xr.Dataset, member: Predicted, x: np.ndarray) -> xr.Dataset:
    return explained(theory, attributes(member, dimension=x.shape[1]))
