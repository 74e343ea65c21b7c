"""Tests of normality on groups of networks, each beside exactly Gaussian samples.

Three tests, for they see different things. Henze-Zirkler tests that recorded neurons are jointly
normal over the networks of a group; its p-values come from a log-normal law fitted to its moments
(on Gaussian groups of 250 networks and 16 neurons it rejects 6 % at 5 %). Hotelling's T^2 is often
quoted beside it but tests only that the mean is zero, which it is at any width by the symmetry of
the weights. ``radial`` tests what finite width really does: given the layer below, neurons are
Gaussian with a variance that they share and that varies from network to network, so the squared
radius of the layer is over-dispersed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from finitewidth.core import reasons
from finitewidth.core.labelled import Labels, nothing
from finitewidth.core.random import numpy_stream
from finitewidth.core.reasons import Reason
from finitewidth.estimate.preactivations.radial import dispersion, null_dispersions, p_value
from finitewidth.estimate.samples import Samples
from finitewidth.members.attributes import explained, inherited
from finitewidth.quantities.vocabulary import LEVEL, SAMPLES, TESTS

Array = np.ndarray

#: With more neurons the log-normal law from which Henze-Zirkler takes its p-values degenerates.
MOST_NEURONS = 20
#: With fewer groups a share of them says little.
_LEAST_GROUPS = 20


def normality(
    samples: xr.Dataset | Sequence[xr.Dataset],
    *,
    seed: int,
    ensemble: str,
    member: str,
    groups: int = 40,
    networks: int = 250,
    neurons: int = 16,
) -> xr.Dataset:
    """Test groups of networks, and Gaussian controls through the same code.

    Each group takes ``networks`` networks that no other group takes, and a random subset of
    ``neurons`` recorded neurons (all, where fewer are recorded): at most 20, for above that
    Henze-Zirkler's p-values degenerate. The control has independent normal neurons, as many as
    the layer is wide, of the ensemble's variance.

    Returns
    -------
    xarray.Dataset
        ``p_value`` (test, sample, layer, input, group); ``rejection_rate`` (test, sample, layer,
        input), the share of groups with a p-value of at most 5 %; its ``_stderr``, binomial with
        two successes and two failures added (Agresti and Coull 1998, The American Statistician
        52, 119), so that it is never 0 and serves at 5 % and elsewhere; and ``_trusted``,
        ``_reason`` and ``_diagnostic`` (at least 20 groups, all p-values known). As many groups as
        fit.

    Raises
    ------
    ValueError
        In one sentence: with fewer networks than one group, more neurons than 20, fewer than two
        recorded neurons, or no more networks in a group than neurons.
    """
    ensemble_samples = Samples([samples] if isinstance(samples, xr.Dataset) else samples)
    recorded = ensemble_samples.size("neuron")
    _check(ensemble_samples.networks, recorded, networks, neurons)
    groups = min(groups, ensemble_samples.networks // networks)
    used = groups * networks
    chosen = _subsets(
        numpy_stream(seed, ensemble, member, "normality subsets"),
        groups,
        recorded,
        min(neurons, recorded),
    )
    layers = ensemble_samples.layers
    labels: Labels = {
        "test": TESTS,
        "sample": SAMPLES,
        "layer": layers,
        "input": range(ensemble_samples.size("input")),
        "group": range(groups),
    }
    p_values = nothing(labels)
    for place, layer in enumerate(layers):
        width = int(ensemble_samples.widths[place])
        z = ensemble_samples.of_layer("preactivation", place)[:used].astype(float)
        kernel = np.einsum("naa->na", ensemble_samples.of_layer("kernel", place)[:used])
        unit = _unit(kernel)
        rng = numpy_stream(seed, ensemble, member, "normality control", int(layer))
        null = null_dispersions(width, networks, numpy_stream(seed, "radial null", width, networks))
        with np.errstate(all="ignore"):
            tested = {
                "ensemble": (z / unit[:, None], kernel / unit**2),
                "gaussian": _control(z.shape, width, rng),
            }
        for sample, (x, square) in tested.items():
            found = _layer(x, square, chosen, null)
            p_values.loc[{"sample": sample, "layer": int(layer)}] = found
    first = samples if isinstance(samples, xr.Dataset) else samples[0]
    return explained(_dataset(p_values), inherited(first))


def _check(available: int, recorded: int, networks: int, neurons: int) -> None:
    if available < networks:
        raise ValueError(
            f"tests of normality on groups of {networks} networks need at least as many, not"
            f" {available}"
        )
    if not 2 <= neurons <= MOST_NEURONS:
        raise ValueError(f"tests of normality take 2 to {MOST_NEURONS} neurons, not {neurons}")
    if recorded < 2:
        raise ValueError(f"tests of normality need at least 2 recorded neurons, not {recorded}")
    if networks <= max(5, min(neurons, recorded)):
        raise ValueError(
            f"a group of {networks} networks is too small to test {min(neurons, recorded)} neurons"
        )


def _subsets(rng: np.random.Generator, groups: int, recorded: int, neurons: int) -> Array:
    """Neurons of each group, increasing, shape (group, neuron)."""
    return np.sort(rng.permuted(np.tile(np.arange(recorded), (groups, 1)), axis=1)[:, :neurons])


def _unit(kernel: Array) -> Array:
    """Root mean square at each input, shape (input,); NaN where there is none."""
    with np.errstate(all="ignore"):
        scale = np.sqrt(np.mean(kernel, axis=0))
        return np.where((scale > 1e-34) & (scale < 1e34), scale, np.nan)


def _control(shape: tuple[int, ...], width: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Standard normal z, and the mean of z^2 over the whole width that they are part of."""
    z = rng.standard_normal(shape)
    rest = width - shape[2]
    others = rng.chisquare(rest, shape[:2]) if rest else 0.0
    return z, (np.sum(z**2, axis=2) + others) / width


def _layer(z: Array, kernel: Array, chosen: Array, null: Array) -> xr.DataArray:
    """p-values along (test, input, group), from z (network, input, neuron) and the kernel."""
    size = len(z) // len(chosen)
    result = nothing({"test": TESTS, "input": range(z.shape[1]), "group": range(len(chosen))})
    for group, subset in enumerate(chosen):
        at = slice(group * size, (group + 1) * size)
        for a in range(z.shape[1]):
            x = z[at, a][:, subset]
            if np.all(np.isfinite(x)) and np.all(np.isfinite(kernel[at, a])):
                found = _of_neurons(x) | {"radial": p_value(dispersion(kernel[at, a]), null)}
                for test, p in found.items():
                    result.loc[{"test": test, "input": a, "group": group}] = p
    return result


def _of_neurons(x: Array) -> dict[str, float]:
    """p-values of Henze-Zirkler's and Hotelling's tests for x of shape (network, neuron)."""
    # Here, for it takes seconds to import.
    import pingouin

    return {
        "henze_zirkler": float(pingouin.multivariate_normality(x).pval),
        "hotelling_mean": float(pingouin.multivariate_ttest(x)["pval"].iloc[0]),
    }


def _dataset(p_values: xr.DataArray) -> xr.Dataset:
    """The dataset of p-values along (test, sample, layer, input, group)."""
    groups = p_values.sizes["group"]
    known = np.isfinite(p_values.values).all(axis=-1)
    rejected = (p_values <= LEVEL).sum("group").values
    shrunk = (rejected + 2) / (groups + 4)
    rate = np.where(known, rejected / groups, np.nan)
    stderr = np.where(known, np.sqrt(shrunk * (1 - shrunk) / (groups + 4)), np.nan)
    few = groups < _LEAST_GROUPS
    why = Reason.TOO_FEW_GROUPS if few else Reason.NONE
    reason = np.where(known, why, Reason.NOT_FINITE)
    diagnostic = np.where(known & few, groups, np.nan)
    dims = ("test", "sample", "layer", "input")
    name = "share of groups of networks whose p-value is at most 5 %"
    return xr.Dataset(
        {
            "p_value": ((*dims, "group"), p_values.values, {"long_name": "p-value", "units": "1"}),
            "rejection_rate": (dims, rate, {"long_name": name, "units": "1"}),
            "rejection_rate_stderr": (
                dims,
                stderr,
                {"long_name": f"standard error of the {name}", "units": "1"},
            ),
            **reasons.variables("rejection_rate", dims, reason, diagnostic, of=name),
        },
        coords={
            "test": list(TESTS),
            "sample": list(SAMPLES),
            "layer": p_values["layer"].values,
            "input": np.arange(p_values.sizes["input"]),
            "group": np.arange(groups),
        },
    )
