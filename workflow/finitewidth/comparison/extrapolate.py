"""Coefficients of the expansion in 1/n, fitted over the widths of a ladder (or a sweep).

A ladder's estimates minus their value at infinite width are c_1/n + c_2/n^2 + c_3/n^3 + ... . The
widths share their random numbers, so the fit weighs them by the inverse of their joint covariance
(generalised least squares, Aitken 1936), and takes along the next orders: a fit that stops at the
order in question takes the next one for noise.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.special import chdtrc

from finitewidth.core import reasons
from finitewidth.core.reasons import Reason
from finitewidth.quantities.vocabulary import COEFFICIENTS, LEAST_RUNGS

#: Fewest orders of 1/n in a fit. There are more if precise points need them and there are enough
#: widths.
TERMS = 3
#: A fit does not describe its points if chance alone would be as bad less often than this.
_LEAST_P = 1e-3
#: If there is a common limit, what different widths say of it agrees up to this rounding.
_ROUNDING = 1e-6


def extrapolate(estimates: xr.Dataset, theory: xr.Dataset) -> xr.Dataset:
    """Fit every coefficient of ``vocabulary.COEFFICIENTS`` that the estimates of a ladder allow.

    Parameters
    ----------
    estimates, theory : xarray.Dataset
        Of one ladder, as ``docs/files.md`` describes them; of theory only the infinite-width
        values are used.

    Returns
    -------
    xarray.Dataset
        Each coefficient with ``_stderr``, ``_trusted``, ``_reason`` and ``_diagnostic`` (those of
        the first width that is not trusted, or of the fit); empty with fewer than four widths.
        Left out where the widths have no common limit, as of rates that grow with the width. NaN
        where the estimates have no spread or the rungs' covariance is singular.
    """
    variables: dict[str, xr.DataArray] = {}
    width = estimates["width"].values if "rung" in estimates.dims else np.array([])
    if len(width) < LEAST_RUNGS:
        return xr.Dataset()
    for source in dict.fromkeys(c.of for c in COEFFICIENTS.values()):
        if source not in estimates:
            continue
        names = {c.power: name for name, c in COEFFICIENTS.items() if c.of == source}
        estimate, infinite = estimates[source], theory[source].sel(order="infinite_width")
        if not agree(infinite.transpose("rung", ...).values):
            continue
        beyond = (estimate - infinite.drop_vars("order")).transpose("rung", ...)
        covariance = estimates[f"{source}_rungs"].transpose("rung", "rung_", *beyond.dims[1:])
        value, error, p = fit(beyond.values, covariance.values, width, min(names))
        reason, diagnostic = _of_the_widths(estimates, source)
        # A fit that was not made has no p, but then its points have a reason.
        reason, diagnostic = _doubted(reason, diagnostic, ~(p > _LEAST_P), Reason.NO_FIT, p)
        like = beyond.isel(rung=0, drop=True)
        for power, name in names.items():
            k = power - min(names)
            about = {
                "long_name": f"coefficient of n^-{power} in the {estimate.attrs['long_name']}",
                "units": "1",
                "estimator": "; ".join(
                    [
                        f"fit of n^-{min(names)} to n^-{min(names) + TERMS - 1} or beyond over"
                        f" {len(width)} widths",
                        *filter(None, [estimate.attrs.get("estimator")]),
                    ]
                ),
            }
            variables[name] = like.copy(data=value[k]).assign_attrs(about)
            variables[f"{name}_stderr"] = like.copy(data=error[k])
            lost = ~(np.isfinite(value[k]) & (error[k] > 0))
            why = _doubted(reason, diagnostic, lost, Reason.NOT_FINITE, np.nan)
            dims = tuple(map(str, like.dims))
            variables |= reasons.variables(name, dims, *why, of=about["long_name"])
    return xr.Dataset(variables)


def agree(values: np.ndarray) -> bool:
    """Whether every width (the first axis) has the same, to rounding, or none has any."""
    size = np.nanmax(np.abs(values), initial=0.0, where=np.isfinite(values))
    return np.allclose(values, values[:1], _ROUNDING, _ROUNDING * size, equal_nan=True)


def _of_the_widths(estimates: xr.Dataset, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Reason and diagnostic of the first width that is not trusted, shape (layer, ...)."""
    reason, diagnostic = (
        estimates[f"{source}_{part}"].transpose("rung", ...).values
        for part in ("reason", "diagnostic")
    )
    first = np.argmax(reason != Reason.NONE, axis=0)[None]
    return tuple(np.take_along_axis(x, first, axis=0)[0] for x in (reason, diagnostic))


def _doubted(
    reason: np.ndarray,
    diagnostic: np.ndarray,
    where: np.ndarray,
    why: Reason,
    number: np.ndarray | float,
) -> tuple[np.ndarray, np.ndarray]:
    """The same with another reason ``where`` there was none."""
    where = where & (reason == Reason.NONE)
    return np.where(where, why, reason), np.where(where, number, diagnostic)


def fit(
    beyond: np.ndarray, covariance: np.ndarray, width: np.ndarray, lowest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generalised least squares of sum_k c_k n^-k, k from ``lowest``: TERMS orders or more.

    Parameters
    ----------
    beyond : array, shape (rung, ...)
    covariance : array, shape (rung, rung, ...)
    width : array of int, shape (rung,)

    Returns
    -------
    value, error : array, shape (TERMS, ...)
        The first coefficients.
    p : array, shape (...)
        How often chance makes a fit this bad.
    """
    rungs, shape = len(width), beyond.shape[1:]
    y = np.moveaxis(beyond, 0, -1).reshape(-1, rungs)
    S = np.moveaxis(covariance, (0, 1), (-2, -1)).reshape(-1, rungs, rungs)
    value, error = np.full((2, len(y), TERMS), np.nan)
    p = np.zeros(len(y))
    for i in range(len(y)):
        for terms in range(TERMS, max(TERMS, rungs - 2) + 1):
            found = _fit_one(y[i], S[i], width, lowest + np.arange(terms))
            if found is None:
                break
            value[i], error[i], p[i] = found[0][:TERMS], found[1][:TERMS], found[2]
            if p[i] > _LEAST_P:
                break
    value, error = (x.T.reshape(TERMS, *shape) for x in (value, error))
    return value, error, p.reshape(shape)


def _fit_one(
    y: np.ndarray, S: np.ndarray, width: np.ndarray, powers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Coefficients, errors and p of one number; None where its covariance is singular."""
    size = np.sqrt(np.diagonal(S))
    if not (np.all(size > 0) and np.all(np.isfinite(S)) and np.all(np.isfinite(y))):
        return None
    try:
        root = np.linalg.cholesky(S / np.outer(size, size))
    except np.linalg.LinAlgError:
        return None
    # In units of the narrowest width and of each point's own error nothing is badly scaled.
    design = (width.min() / width[:, None]) ** powers
    white = np.linalg.solve(root, np.column_stack([design, y]) / size[:, None])
    q, r = np.linalg.qr(white[:, :-1])
    inverse = np.linalg.inv(r)
    value = inverse @ (q.T @ white[:, -1])
    left = white[:, -1] - white[:, :-1] @ value
    unit = float(width.min()) ** powers
    p = chdtrc(len(y) - len(powers), left @ left)
    return value * unit, np.sqrt(np.sum(inverse**2, axis=1)) * unit, float(p)
