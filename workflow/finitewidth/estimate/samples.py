"""An ensemble's samples, from one file or several, read layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from finitewidth.core.rounding import ROUNDING

Array = np.ndarray


class Samples:
    """The networks of one ensemble in the order of their index, however many files hold them.

    Parameters
    ----------
    shards : sequence of xarray.Dataset
        With the coordinate ``network``; together they hold the networks 0 to N-1, each once.

    Raises
    ------
    ValueError
        In one sentence, where there is no shard, where networks are missing or stand twice, or
        where shards do not hold the same variables and layers.

    Attributes
    ----------
    networks : int
    layers : array of int, shape (layer,)
    widths : array of int, shape (layer,)
        Neurons n_l of each layer; of a ladder, those of each rung.
    """

    def __init__(self, shards: Sequence[xr.Dataset]):
        if not shards:
            raise ValueError("there are no samples to estimate from")
        first = shards[0]
        for shard in shards[1:]:
            same = set(shard.data_vars) == set(first.data_vars)
            if not same or not np.array_equal(shard["layer"], first["layer"]):
                raise ValueError("the shards of the samples hold different variables or layers")
        index = np.concatenate([np.atleast_1d(shard["network"].values) for shard in shards])
        self._order = np.argsort(index, kind="stable")
        _check_complete(index[self._order])
        self._in_order = bool(np.all(self._order == np.arange(index.size)))
        self._shards = list(shards)
        self.networks = index.size
        self.layers = first["layer"].values
        self.widths = first["width"].values

    def __contains__(self, name: str) -> bool:
        return name in self._shards[0].data_vars

    @property
    def rounding(self) -> float:
        """What the networks' numbers are known to (:mod:`finitewidth.core.rounding`).

        By the attribute ``precision`` of the samples; where they have none, by the least precise of
        their variables.
        """
        first = self._shards[0]
        named = first.attrs.get("precision")
        if named in ROUNDING:
            return ROUNDING[named]
        single = any(v.dtype in (np.float32, np.float16) for v in first.data_vars.values())
        return ROUNDING["float32" if single else "float64"]

    def again(self, **times: int) -> Samples:
        """The same with the first place of each dimension that is named so many times more.

        Axes of one length then have different ones, which tells them from each other.
        """
        shards = []
        for shard in self._shards:
            every = {str(dim): size for dim, size in shard.sizes.items()}
            named = {dim: size for dim, size in every.items() if dim.rstrip("_") in times}
            at = {dim: [*range(n), *[0] * times[dim.rstrip("_")]] for dim, n in named.items()}
            shards.append(shard.isel(at))
        return Samples(shards)

    def size(self, dimension: str) -> int:
        """Length of a dimension; 0 where no variable has it."""
        return self._shards[0].sizes.get(dimension, 0)

    def of_layer(self, name: str, place: int) -> Array:
        """The values of variable ``name`` at the recorded layer number ``place`` (from 0).

        Returns
        -------
        array, shape (network, ...)

        Raises
        ------
        ValueError
            Where the samples do not hold the variable.
        """
        return self._joined(name, {"layer": place})

    def values(self, name: str) -> Array:
        """All values of variable ``name``, shape (network, ...); raises as :meth:`of_layer`."""
        return self._joined(name, {})

    def not_finite(self, name: str) -> Array:
        """Which networks hold NaN or infinity in the variable ``name``: (network, rung, layer).

        A variable without layers stands at the last, one without rungs at rung 0 of 1. Minus
        infinity is the logarithm of 0 and no loss.
        """
        parts = []
        for shard in self._shards:
            values = shard[name]
            with np.errstate(invalid="ignore"):
                finite = xr.apply_ufunc(np.isfinite, values)
                bad = ~(finite | (values == -np.inf if name in ("log_norm", "jacobian") else False))
            over = [d for d in values.dims if d not in ("network", "rung", "layer")]
            for dimension in ("rung", "layer"):
                if dimension not in bad.dims:
                    bad = bad.expand_dims(dimension)
            parts.append(bad.any(over).transpose("network", "rung", "layer").values)
        lost = np.concatenate(parts)[self._order]
        if "layer" in self._shards[0][name].dims:
            return lost
        placed = np.zeros((*lost.shape[:2], len(self.layers)), bool)
        placed[..., int(np.argmax(self.layers))] = lost[..., 0]
        return placed

    def coordinate(self, name: str) -> Array:
        """The values of a coordinate that all shards share."""
        return self._shards[0][name].values

    def has_coordinate(self, name: str) -> bool:
        """Whether the samples have the coordinate ``name``."""
        return name in self._shards[0].coords

    @property
    def populations(self) -> xr.Dataset | None:
        """What islands of populations hold, all islands in their order; None where none were grown.

        With ``population_spread`` (of_rung, layer, moment), which the pilot found, alone where it
        found that none is needed.
        """
        first = self._shards[0]
        names = [name for name in first.data_vars if str(name).startswith("population_")]
        if not names:
            return None
        divided = [name for name in names if "island" in first[name].dims]
        rest = first[[name for name in names if name not in divided]]
        if not divided:
            return rest
        joined = xr.concat([shard[divided] for shard in self._shards], "island")
        return rest.assign(joined.sortby("island").variables)

    def _joined(self, name: str, at: Mapping[str, int]) -> Array:
        if name not in self:
            raise ValueError(lacking(name))
        parts = [shard[name].isel(at).transpose("network", ...).values for shard in self._shards]
        values = np.concatenate(parts) if len(parts) > 1 else parts[0]
        return values if self._in_order else values[self._order]


def lacking(name: str) -> str:
    """The sentence on a variable that an estimator wants, and that is not there."""
    return (
        f"the samples do not hold the variable {name}; what an estimator reads stands in the"
        " records of its family"
    )


def _check_complete(index: Array) -> None:
    """Raise unless the sorted ``index`` is 0, 1, 2, ..."""
    repeated = index[1:][np.diff(index) == 0]
    if repeated.size:
        raise ValueError(f"network {repeated[0]} stands twice among the samples")
    if index.size == 0 or index[0] != 0 or index[-1] != index.size - 1:
        expected = np.arange(index.size)
        gap = int(expected[index != expected][0]) if index.size else 0
        raise ValueError(f"network {gap} is missing among the samples")
