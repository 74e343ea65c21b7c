"""One ensemble from networks to a table: sample, estimate, predict, compare."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from finitewidth.config.model_ensemble import MEASURES
from finitewidth.core.words import check_word, check_words, named
from finitewidth.estimate.estimate_member import estimate_member
from finitewidth.face.computing import DEVICES, as_a_job
from finitewidth.face.given_inputs import inputs_for, whole
from finitewidth.face.own_samples import check_samples, of_arrays
from finitewidth.face.progress import bar
from finitewidth.face.study_file import Member
from finitewidth.members.attributes import attributes_of, explained
from finitewidth.members.stages import EstimatedLadder, EstimatedNetworks
from finitewidth.models.architecture import Architecture
from finitewidth.models.layers.layer import WEIGHT_LAWS
from finitewidth.models.parameterisation import PARAMETERISATIONS, LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.vocabulary import (
    DEFAULT_FAMILIES,
    FAMILIES,
    FROM_LADDER,
    FROM_NTK,
    NTK_FAMILIES,
    OF_LAYERS,
)
from finitewidth.theory.predict.predict_member import predict_network

#: What is recorded of networks of one width.
RECORDED = (
    *(word for word in MEASURES if word != "ntk_methods"),
    "quartic",
    "sextic",
    "gradient",
    "jacobian",
    "entropy",
)
PRECISIONS = ("float32", "float64")
#: Families of samples without a study file; normality asks for groups, which a study file has.
_OF_LAYERS = tuple(family.name for family in OF_LAYERS if family.name != "normality")


@named
def sample(
    of: Perceptron | Architecture | Member,
    x: np.ndarray | None = None,
    *,
    networks: int | None = None,
    seed: int = 0,
    name: Sequence[str] = ("ensemble", "only"),
    measure: str | Collection[str] = ("preactivations",),
    sampler: str = "marginal",
    layers: Sequence[int] | None = None,
    record: int = 8,
    outputs: int = 2,
    parameterisation: str = "ntk",
    precision: str = "float32",
    device: str = "cpu",
    progress: bool = True,
) -> xr.Dataset:
    """Draw an ensemble of networks and record it.

    Parameters
    ----------
    of : Perceptron, Architecture or Member
        A member of a study file (:func:`finitewidth.load_study`) knows all the rest but
        ``progress``, which is then refused. Ladders of widths, populations and ensembles in
        training are members of a study file.
    x : array, shape (inputs, n_0)
    networks : int
        How many.
    seed, name
        Name the random streams: those of ensemble ``name[0]``, member ``name[1]`` of a study file
        with that seed.
    measure : str or collection of str
        ``preactivations`` (neurons and kernels), with it ``quartic`` and ``sextic`` (sums of fourth
        and sixth powers), ``gradient`` (derivatives of an output by layers), ``jacobian`` (of
        layers by the input) and ``entropy`` (of attention); ``log_norm``;
        ``ntk`` (tangent kernels), with it ``dntk``.
    sampler : str
        ``marginal`` (weights integrated out), ``explicit`` or, of tangent kernels, ``scalar``.
    layers : sequence of int, optional
        Which to record, from 1; all where left out.
    record : int
        Neurons of each layer that are recorded.
    outputs : int
        Of tangent kernels.
    parameterisation : str
        Of tangent kernels, ``ntk`` or ``standard``.
    precision : str
        ``float32`` or ``float64``.
    device : str
        ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
    progress : bool
        Whether a bar is drawn.

    Returns
    -------
    xarray.Dataset
        As docs/architecture.md describes samples, for :func:`estimate`.

    Raises
    ------
    ValueError
        In one sentence, where a word is misspelt or something is missing or does not fit.
    """
    if isinstance(of, Member):
        if x is not None or networks is not None:
            raise ValueError("a member of a study file has its own inputs and number of networks")
        return of.sample(progress=progress)
    if x is None or networks is None:
        missing = "x" if x is None else "networks"
        allowed = "an array of inputs" if x is None else "a whole number of at least 1"
        raise ValueError(f"{missing}: given nothing, allowed is {allowed}")
    whole("networks", networks)
    whole("outputs", outputs)
    _check_seed(seed)
    x = inputs_for(of, "x", x)
    wanted = check_words("measure", measure, RECORDED)
    check_word("precision", precision, PRECISIONS)
    check_word("device", device, DEVICES)
    check_word("parameterisation", parameterisation, PARAMETERISATIONS[:2])
    about: dict[str, Any] = {
        "networks": int(networks), "seed": seed, "name": tuple(name), "layers": _layers(of, layers),
        "record": whole("record", record), "measure": wanted, "sampler": sampler,
        "precision": precision,
    }  # fmt: skip
    tangents = {"ntk", "dntk"} & set(wanted)
    samplers = ("marginal", "explicit", "scalar") if tangents else ("marginal", "explicit")
    check_word("sampler", sampler, samplers)
    with as_a_job(device) as on, bar("sampling", progress) as told:
        from finitewidth.sampling.ensemble import sample as of_layers
        from finitewidth.sampling.ntk_ensemble import sample_ntk

        about |= {"device": on, "on_tile": told}
        if tangents:
            rates = LearningRates.named(parameterisation, of)
            found = sample_ntk(of, rates, x, outputs=outputs, **about)
        else:
            found = of_layers(of, x, **about)
    drawn = {"networks": int(networks), "sampler": sampler, "seed": seed}
    return explained(found, attributes_of(of, *about["name"]) | drawn)


@named
def estimate(
    samples: xr.Dataset | Sequence[xr.Dataset] | Mapping[str, Any],
    families: str | Collection[str] | None = None,
    *,
    seed: int | None = None,
    layers: Sequence[int] | None = None,
    width: int | Sequence[int] | None = None,
    weights: str | None = None,
) -> xr.Dataset:
    """Estimates with standard errors of an ensemble's samples.

    Parameters
    ----------
    samples : xarray.Dataset, sequence of them, or mapping of arrays
        What :func:`sample` gives, or files of a run; several are parts of one ensemble. Or arrays,
        or tensors, of networks of your own:

        ==================== ===============================================================
        preactivation        (network, layer, input, neuron), z of every neuron of each layer
        kernel               (network, layer, input, input), mean over neurons of z_a z_b
        quartic              (network, layer, quadruple a <= b <= c <= d), of z_a z_b z_c z_d
        sextic               (network, layer, input), of z_a^6
        gradient             (network, layer, input), |df/dz_a|^2 of an output f
        jacobian             (network, layer, input, singular), log of singular values of dz/dx
        entropy              (network, layer, input), of attention, NaN in layers without
        log_norm             (network, layer, input), log of the root mean square of z
        ntk                  (network, output, output, input, input), tangent kernels
        output_preactivation (network, output, input), z of the same outputs
        conditional_kernel   (network, pair a <= b), covariance of outputs given what is below
        ==================== ===============================================================

        Of ``preactivation`` alone, without ``width``, the next three follow: all neurons of a layer
        have to be there.
    families : str or collection of str, optional
        What to estimate: ``covariance``, ``four_point``, ``kurtosis``, ..., config/README.md lists
        all. Where left out, of the default ones those that the samples are enough for.
    seed : int, optional
        Of random subsets of neurons; that of the samples, or 0.
    layers, width
        Of arrays: the numbers of the layers (1, 2, ... where left out), and the neurons of each,
        where ``preactivation`` has not all of them.
    weights : str, optional
        Of arrays: ``normal`` where the last layer's weights and biases are Gaussian, which makes
        errors of tangent kernels' tensors smaller.

    Returns
    -------
    xarray.Dataset
        Five variables a quantity: its value, ``_stderr``, ``_trusted`` and, where the error is not
        to be trusted, ``_reason`` and ``_diagnostic``.

    Raises
    ------
    ValueError
        In one sentence: a misspelt word, an array of another shape, what the samples lack, fewer
        than 50 networks.
    """
    if seed is not None:
        _check_seed(seed)
    if isinstance(samples, Mapping) and not isinstance(samples, xr.Dataset):
        parts = [of_arrays(samples, layers, width)]
    elif layers is not None or width is not None:
        raise ValueError("layers, width: given with a dataset, which has them itself")
    else:
        parts = [samples] if isinstance(samples, xr.Dataset) else list(samples)
    if not parts or not all(isinstance(part, xr.Dataset) for part in parts):
        raise ValueError("samples: given none, allowed are datasets of samples or arrays by name")
    first = parts[0]
    if "moment" in first.dims and "sign" in first.dims:
        raise ValueError("samples: given networks in training, allowed is their member to estimate")
    check_samples(first)
    ladder = "rung" in first.dims
    allowed = FROM_LADDER if ladder else (*_OF_LAYERS, *FROM_NTK)
    chosen = _enough_for(first, ladder) if families is None else families
    wanted = check_words("families", chosen, allowed)
    if not wanted:
        raise ValueError(f"families: given none, allowed is one of {', '.join(allowed)}")
    law = first.attrs.get("weights", "unknown") if weights is None else weights
    if weights is not None:
        check_word("weights", weights, WEIGHT_LAWS)
    about = {
        "ensemble": first.attrs.get("ensemble", "ensemble"),
        "name": first.attrs.get("member", "only"),
        "estimate": wanted,
        "weights": law,
    }
    kind = EstimatedLadder(**about, ladder=()) if ladder else EstimatedNetworks(**about)
    chosen_seed = int(first.attrs.get("seed", 0)) if seed is None else seed
    return estimate_member(kind, parts, seed=chosen_seed)


def _enough_for(first: xr.Dataset, ladder: bool) -> list[str]:
    """The default families that samples are enough for."""
    if ladder:
        return list(FROM_LADDER[:1])
    found = [f for f in DEFAULT_FAMILIES if all(name in first for name in FAMILIES[f].records)]
    if "log_norm" in found and "log_norm" not in first and "kernel" not in first:
        found.remove("log_norm")
    return found + [f for f in NTK_FAMILIES if "ntk" in first]


def _layers(of: Perceptron | Architecture, given: Sequence[int] | None) -> tuple[int, ...]:
    """Numbers of layers of results, all of them where left out."""
    depth = len(of.result_widths) - 1
    every = tuple(range(1, depth + 1)) if given is None else tuple(map(int, given))
    if not every or not all(1 <= layer <= depth for layer in every):
        raise ValueError(f"layers: given {list(every)}, allowed are those from 1 to {depth}")
    return every


def _check_seed(given: int) -> None:
    if not 0 <= whole("seed", given, 0) < 2**63:
        raise ValueError(f"seed: given {given}, allowed is a whole number from 0 to 2^63 - 1")


@named
def predict(
    of: Perceptron | Architecture | Member,
    x: np.ndarray | None = None,
    families: str | Collection[str] | None = None,
    *,
    layers: Sequence[int] | None = None,
    networks: int | None = None,
    parameterisation: str = "ntk",
) -> xr.Dataset:
    """What theory says, order by order, and about how much each order leaves out.

    Parameters
    ----------
    of : Perceptron, Architecture or Member
        A member of a study file knows all the rest.
    x : array, shape (inputs, n_0)
    families : str or collection of str, optional
        As for :func:`estimate`; the default ones where left out.
    layers : sequence of int, optional
        All where left out.
    networks : int, optional
        Size of the ensemble, which ``quadruple`` asks for.
    parameterisation : str
        Of tangent kernels, ``ntk`` or ``standard``.

    Returns
    -------
    xarray.Dataset
        Of the names of estimates, with the dimension ``order`` (``infinite_width``, ``1/n``,
        ``1/n^2``, ``double_scaling``, ``many_tokens``, ``exact``); NaN where an order says nothing.
        ``<name>_neglected`` is about how much an order leaves out.

    Raises
    ------
    ValueError
        In one sentence, where a word is misspelt or something is missing or does not fit.
    """
    if isinstance(of, Member):
        if x is not None or families is not None:
            raise ValueError("a member of a study file has its own inputs and families")
        return of.predict()
    if x is None:
        raise ValueError("x: given nothing, allowed is an array of shape (inputs, n_0)")
    given = DEFAULT_FAMILIES if families is None else families
    wanted = check_words("families", given, (*_OF_LAYERS, *FROM_NTK))
    check_word("parameterisation", parameterisation, PARAMETERISATIONS[:2])
    every = _layers(of, layers)
    if networks is not None:
        whole("networks", networks)
    rates = LearningRates.named(parameterisation, of) if set(wanted) & set(FROM_NTK) else None
    # Images and sequences as rows of numbers, once they have the right shape.
    x = inputs_for(of, "x", x).reshape(len(x), -1)
    narrowest = min(of.result_widths[layer] for layer in every)
    theory = predict_network(
        of, x, every, wanted, neurons=min(4, narrowest), networks=networks, rates=rates
    )
    return explained(theory, attributes_of(of) | {"dimension": x.shape[1]})
