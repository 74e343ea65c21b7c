"""Gaussian means of products of a smooth function in up to four dimensions, by trapezoidal sums.

For a function that is analytic in a strip of half-width d the trapezoidal rule of step h is wrong
by exp(-2 pi d/h) only, and the Gaussian weight ends the sum (Trefethen and Weideman 2014). The
covariance is factored as L L^T with pivots, so that directions in which a singular matrix is thin
need few points or none; the innermost variable is averaged once, for a table of conditional means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

# -log of the error that a grid in 0 to 4 dimensions is laid out for. Measured errors are under
# 1e-12, 1e-11 and 4e-10 of the scale in two, three and four dimensions: what multiplies
# exp(-digits) grows with the powers.
_DIGITS = (36.0, 36.0, 36.0, 32.0, 29.0)

# Points of one temporary array, to stay in cache; bounds the memory, not the result.
_CHUNK = 2**16
# The same for the innermost variable and for the entries of its table.
_INNER, _ENTRIES = 2**12, 2**18
# Beyond this many points of the outer variables a grid is made coarser, at the cost of error.
_BUDGET = 4_000_000
# An axis of more points than this is not laid out: who can do without counts them, for others its
# weights are NaN. It is that of a tanh whose variance is some 1e9.
MOST_POINTS = 2_000_000


def axis(strip: float, digits: float = 36.0) -> tuple[np.ndarray, np.ndarray]:
    """Nodes u and weights of the standard normal law, for a function analytic where |Im u| < strip.

    Shifting the line of integration by y <= strip bounds the error by exp(y^2/2 - 2 pi y/h); the
    step h makes that exp(-digits) at the best y. Weights are NaN where that takes more than
    ``MOST_POINTS``.
    """
    return _axis(_step(strip, digits), digits)


def _step(strip: float, digits: float) -> float:
    best = np.sqrt(2 * digits)
    y = min(best, strip)
    return 2 * np.pi * y / (digits + y * y / 2)


def _axis(h: float, digits: float) -> tuple[np.ndarray, np.ndarray]:
    needed = np.ceil(_reach(digits) / h)
    if not 2 * needed < MOST_POINTS:
        return np.linspace(-_reach(digits), _reach(digits), MOST_POINTS), np.full(
            MOST_POINTS, np.nan
        )
    count = int(needed)
    u = h * np.arange(-count, count + 1)
    return u, h / np.sqrt(2 * np.pi) * np.exp(-u * u / 2)


def _reach(digits: float) -> float:
    """Radius beyond which the normal law, times a polynomial, is under exp(-digits)."""
    return np.sqrt(2 * (digits + 5))


def pivoted_cholesky(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L and order with K[order][:, order] = L L^T, the largest conditional variance first.

    What is left of a variance is taken as 0 where it is under 1e-14 of the largest of it: any
    matrix that is positive semi-definite up to rounding is welcome.
    """
    K = np.array(K, dtype=float)
    size, order = len(K), np.arange(len(K))
    L = np.zeros_like(K)
    left = np.diagonal(K).copy()
    whole = left.copy()
    for k in range(size):
        best = k + int(np.argmax(left[k:]))
        for array in (order, left, whole, L):
            array[[k, best]] = array[[best, k]]
        if left[k] <= 1e-14 * whole[k]:
            break
        L[k, k] = np.sqrt(left[k])
        below = order[k + 1 :]
        L[k + 1 :, k] = (K[below, order[k]] - L[k + 1 :, :k] @ L[k, :k]) / L[k, k]
        left[k + 1 :] -= L[k + 1 :, k] ** 2
    return L, order


def moments(
    sigma: Callable[[np.ndarray], np.ndarray],
    strip: float,
    K: np.ndarray,
    powers: Sequence[tuple[int, ...]],
    stretch: float = 1.0,
) -> np.ndarray:
    """<prod_a sigma(z_a)^p_a> for several choices of the powers p, z ~ N(0, K).

    Parameters
    ----------
    sigma : callable
        Elementwise, analytic where |Im z| < ``strip``.
    strip : float
    K : ndarray, shape (d, d)
        d from 1 to 4; may be singular.
    powers : sequence of tuples of d int, each >= 1
    stretch : float
        Makes every step this much wider than it should be: the difference to 1 tells the error.
        Where four variances exceed about 50 the steps are wider than they should be already, as
        there is a limit to the number of points.

    Returns
    -------
    ndarray, shape (len(powers),)
    """
    L, order = pivoted_cholesky(K)
    size = len(order)
    digits = _DIGITS[size]
    # Lead with variables that are not there, so that there are always three outer and one inner.
    missing = 4 - size
    full = np.zeros((4, 4))
    full[missing:, missing:] = L
    powers = [(0,) * missing + tuple(p[k] for k in order) for p in powers]

    scales = np.abs(full).max(axis=0)
    steps = [_step(strip / s, digits) if s > 0 else np.inf for s in scales]
    outer = [h for h in steps[:3] if np.isfinite(h)]
    reach = _reach(digits)
    ball = (1, 2, np.pi, 4 * np.pi / 3)[len(outer)]
    coarser = float(
        (ball * reach ** len(outer) / np.prod(outer) / _BUDGET) ** (1 / max(1, len(outer)))
    )
    steps = [stretch * h * max(1.0, coarser) for h in steps]
    steps[3] = max(steps[3], stretch * 2 * reach / _INNER)
    point = np.zeros(1), np.ones(1)
    axes = [_axis(h, digits) if np.isfinite(h) else point for h in steps]
    return _nested(sigma, stretch * strip / 100, full, axes, powers, reach)


def _nested(
    sigma: Callable[[np.ndarray], np.ndarray],
    gap: float,
    L: np.ndarray,
    axes: Sequence[tuple[np.ndarray, np.ndarray]],
    powers: Sequence[tuple[int, ...]],
    reach: float,
) -> np.ndarray:
    """The sum over the grid spanned by ``axes``, within a ball in the outer three variables."""
    (u1, w1), (u2, w2), (u3, w3), inner = axes
    first, second = (g.ravel() for g in np.meshgrid(u1, u2, indexing="ij"))
    weight = np.outer(w1, w2).ravel()
    radius = first**2 + second**2
    # By radius, so that in each chunk of these pairs the third axis can end early.
    near = np.argsort(radius, kind="stable")
    near = near[: np.searchsorted(radius[near], reach**2, side="right")]
    first, second, weight, radius = first[near], second[near], weight[near], radius[near]

    s1 = sigma(L[0, 0] * first)
    s2 = sigma(L[1, 0] * first + L[1, 1] * second)
    third = L[2, 0] * first + L[2, 1] * second
    fourth = L[3, 0] * first + L[3, 1] * second

    points = len(first) * len(u3)
    # A chunk is a rectangle and may stick out of the ball.
    furthest = np.abs(fourth).max() + abs(L[3, 2]) * np.abs(u3).max()
    inner_powers = {p[3] for p in powers}
    means = _conditional_means(sigma, inner_powers, gap, L[3, 3], inner, furthest, points)
    totals = np.zeros(len(powers))
    start = 0
    while start < len(first):
        keep = np.abs(u3) <= np.sqrt(max(reach**2 - radius[start], 0))
        u, w = u3[keep], w3[keep]
        rows = slice(start, start + max(1, _CHUNK // len(u)))
        s3 = sigma(third[rows, None] + L[2, 2] * u)
        m = fourth[rows, None] + L[3, 2] * u
        table = means(m)
        for k, p in enumerate(powers):
            line = (_power(s3, p[2]) * table[p[3]]) @ w
            totals[k] += (weight[rows] * _power(s1[rows], p[0]) * _power(s2[rows], p[1])) @ line
        start = rows.stop
    return totals


def _power(s: np.ndarray, p: int) -> np.ndarray | float:
    """s^p by multiplication; 1 for p = 0."""
    result = s if p else 1.0
    for _ in range(p - 1):
        result = result * s
    return result


def _conditional_means(
    sigma: Callable[[np.ndarray], np.ndarray],
    powers: set[int],
    gap: float,
    spread: float,
    inner: tuple[np.ndarray, np.ndarray],
    furthest: float,
    points: int,
) -> Callable:
    """The function m -> {p: <sigma(m + spread u)^p>}, u standard normal, |m| <= ``furthest``.

    Directly where few points are asked for; else from a table, between whose entries a polynomial
    of degree 5 interpolates: with entries at d/100, where d is the strip, it is wrong by about
    4 (1/100)^6. Where all m are small so are the values, and the entries lie closer.
    """
    u, w = inner

    def direct(m: np.ndarray) -> dict[int, np.ndarray]:
        if len(u) == 1:
            s = sigma(m)
            return {p: np.asarray(_power(s, p)) for p in powers}
        flat, step = m.ravel(), max(1, 16 * _CHUNK // len(u))
        found = {p: np.empty(len(flat)) for p in powers}
        for i in range(0, len(flat), step):
            s = sigma(flat[i : i + step, None] + spread * u)
            for p in powers:
                found[p][i : i + step] = _power(s, p) @ w
        return {p: values.reshape(m.shape) for p, values in found.items()}

    gap = max(min(gap, furthest / 40), 2 * furthest / _ENTRIES) or gap
    count = int(np.ceil(furthest / gap)) + 4
    if len(u) == 1 or 2 * count >= points:
        return direct
    nodes = gap * np.arange(-count, count + 1)
    step = max(1, _CHUNK // len(u))
    parts = [direct(nodes[i : i + step]) for i in range(0, len(nodes), step)]
    coefficients = {}
    for p in powers:
        # Window k holds the entries k to k + 5 and serves the cell between its middle two.
        values = np.concatenate([part[p] for part in parts])
        windows = np.lib.stride_tricks.sliding_window_view(values, 6)
        coefficients[p] = np.ascontiguousarray((windows @ _INTERPOLATION.T).T)

    def interpolated(m: np.ndarray) -> dict[int, np.ndarray]:
        position = (m - nodes[2]) / gap
        cell = position.astype(np.intp)
        position -= cell
        found = {}
        for p, rows in coefficients.items():
            found[p] = rows[5].take(cell)
            for c in rows[4::-1]:
                found[p] *= position
                found[p] += c.take(cell)
        return found

    return interpolated


# Coefficients of the polynomial through values at -2, -1, 0, 1, 2, 3.
_INTERPOLATION = np.linalg.inv(np.vander(np.arange(-2.0, 4.0), increasing=True))
