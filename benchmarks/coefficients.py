"""The polynomials of the fused kernels, computed in 60 digits: prints coefficients.py.

    python benchmarks/coefficients.py > workflow/finitewidth/sampling/fused/coefficients.py

Each is fitted by least squares at the zeros of a Chebyshev polynomial, which is within a small
factor of the best there is. Coefficients are rounded one by one, from the lowest power on, and the
rest is fitted again after each, so that rounding costs little.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mpmath import mp, mpf

mp.dps = 60


def nodes(low: mpf, high: mpf, count: int) -> list[mpf]:
    """Zeros of the Chebyshev polynomial of degree ``count`` on an interval."""
    half, middle = (high - low) / 2, (high + low) / 2
    return [middle + half * mp.cos(mp.pi * (2 * k + 1) / (2 * count)) for k in range(count)]


def fit(function: Callable, low: mpf, high: mpf, count: int, kind: type) -> list[str]:
    """Coefficients as numbers of type ``kind``, lowest power first, in hexadecimal digits."""
    at = nodes(low, high, 4 * count)
    left = mp.matrix([function(x) for x in at])
    found: list[float] = []
    for start in range(count):
        powers = mp.matrix([[x**power for power in range(start, count)] for x in at])
        value = float(kind(float(mp.lu_solve(powers.T * powers, powers.T * left)[0])))
        found.append(value)
        left -= value * powers[:, 0]
    return [f'float.fromhex("{value.hex()}")' for value in found]


def even(function: Callable) -> Callable:
    """f(sqrt w)/sqrt w as a function of w, for odd f."""
    return lambda w: function(mp.sqrt(w)) / mp.sqrt(w)


def tail(s: mpf) -> mpf:
    """exp(a^2/2) Q(a) (1 + 2 a) where s = (a - 4)/(a + 4), Q the normal law's upper tail."""
    a = 4 * (1 + s) / (1 - s)
    # No asymptotic series is needed: arguments end where exp(-a^2/2) does.
    return mp.exp(a * a / 2) * mp.erfc(a / mp.sqrt(2)) / 2 * (1 + 2 * a)


TABLE = [
    # name, what it is, function, interval, terms in single and in double precision
    ("ATANH", "2 artanh(s)/s, in s^2, for s <= 1/3",
     even(lambda s: 2 * mp.atanh(s)), (0, mpf(1) / 9), 6, 12),
    ("SIN_TURN", "sin(pi y/2)/y, in y^2, for y <= 1",
     even(lambda y: mp.sin(mp.pi * y / 2)), (0, 1), 6, 10),
    ("COS_TURN", "cos(pi y/2)/(1 - y^2), in y^2, for y <= 1",
     lambda w: mp.cos(mp.pi * mp.sqrt(w) / 2) / (1 - w), (0, 1), 6, 10),
    ("EXP", "(exp(r) - 1 - r)/r^2 for |r| <= log(2)/2",
     lambda r: (mp.exp(r) - 1 - r) / r**2, (-mp.log(2) / 2, mp.log(2) / 2), 5, 11),
    ("TANH", "(tanh(x) - x)/x^3, in x^2, for x <= 5/8",
     lambda w: (mp.tanh(mp.sqrt(w)) / mp.sqrt(w) - 1) / w, (0, mpf(25) / 64), 5, 12),
    ("ERF", "erf(x)/x, in x^2, for x <= 1", even(mp.erf), (0, 1), 7, 14),
    ("TAIL", "exp(a^2/2) Q(a) (1 + 2 a), in s = (a - 4)/(a + 4), Q the normal law's upper tail",
     tail, {np.float32: (-1, mpf(10.5) / 18.5), np.float64: (-1, mpf(35) / 43)}, 11, 25),
    ("SIN", "(sin(r) - r)/r^3, in r^2, for r <= pi/4",
     lambda w: (mp.sin(mp.sqrt(w)) / mp.sqrt(w) - 1) / w, (0, (mp.pi / 4) ** 2), 3, 7),
    ("COS", "(cos(r) - 1)/r^2, in r^2, for r <= pi/4",
     lambda w: (mp.cos(mp.sqrt(w)) - 1) / w, (0, (mp.pi / 4) ** 2), 4, 8),
    ("ATAN", "(arctan(t) - t)/t^3, in t^2, for t <= 1",
     lambda w: (mp.atan(mp.sqrt(w)) / mp.sqrt(w) - 1) / w, (0, 1), 10, 21),
]  # fmt: skip


def main() -> None:
    """Print the module."""
    print('"""Coefficients of polynomials, lowest power first: by benchmarks/coefficients.py."""\n')
    print("from finitewidth.sampling.fused.lanes import polynomial\n")
    for name, about, function, interval, single, double in TABLE:
        print(f"#: {about}.\n{name} = polynomial(")
        for count, kind in ((single, np.float32), (double, np.float64)):
            low, high = interval[kind] if isinstance(interval, dict) else interval
            values = fit(function, mpf(low), mpf(high), count, kind) if count else []
            print("    (", *(f"        {value}," for value in values), "    ),", sep="\n")
        print(")")


if __name__ == "__main__":
    main()
