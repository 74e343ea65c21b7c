"""Activations of extensions: whether an entry says the same of its function in every way."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from finitewidth.models.activations.activation import Activation, Array

#: Where functions are held against each other; on both sides of 0, where a kink may be.
_AT = np.array([[-3.1, -1.3, -0.4], [0.6, 1.7, 2.9]])
_STEP = 1e-5
#: Relative to the largest value there; central differences are off by far less.
_OFF = 1e-5


def wrong(one: Activation) -> tuple[str, str] | None:
    """What of an activation cannot be as it is, and what is allowed; None where all fits.

    Every field is tried out but those on tensors, which wait for torch (:func:`wrong_on_tensors`).
    """
    for field in ("function", "derivative", "on_tensor_", "derivative_on_tensor_",
                  "second_on_tensor"):  # fmt: skip
        if not callable(getattr(one, field)):
            return f"{one.name}.{field} that is no function", "a function"
    if one.slopes is None and (one.derivatives is None or one.strip is None):
        needed = "slopes, or derivatives and strip, from which theory is computed"
        return f"{one.name} without derivatives", needed
    if one.strip is not None and not one.strip > 0:
        return f"{one.name}.strip {one.strip!r}", "a number above 0"
    with np.errstate(all="ignore"):
        for what, found, expected in _held(one):
            if problem := _differs(found, expected):
                return f"{one.name}.{what} that {problem}", f"{_SAYS[what]}"
    return None


_SAYS = {
    "function": "finite numbers of the shape of its argument",
    "slopes": "the slopes of function on both sides of 0",
    "derivative": "the derivative of function",
    "derivatives": "function and its first five derivatives, stacked to shape (6, *z.shape)",
    "on_tensor_": "function, on tensors",
    "derivative_on_tensor_": "derivative, on tensors",
    "second_on_tensor": "the second derivative, on tensors",
    "on_tensor_ to differentiate": "function in operations that torch differentiates",
}


def _held(one: Activation) -> Iterator[tuple[str, object, Array]]:
    """A field, what it says, and what the others say of the same."""
    value = one.function(_AT)
    yield "function", value, np.where(np.isfinite(value), value, 0.0) if _fits(value) else _AT
    yield "derivative", one.derivative(_AT), _difference(one.function)
    if one.slopes is not None:
        yield "slopes", value, np.where(_AT > 0, one.slopes[0] * _AT, one.slopes[1] * _AT)
    if one.derivatives is not None:
        found = np.asarray(one.derivatives(_AT))
        if found.shape != (6, *_AT.shape):
            yield "derivatives", found, _AT
            return
        yield "derivatives", found[0], value
        steps = _difference(one.derivatives)
        for k in range(5):
            yield "derivatives", found[k + 1], steps[k]


def wrong_on_tensors(torch: ModuleType, one: Activation) -> tuple[str, str] | None:
    """As :func:`wrong`, of what an activation does with tensors of torch."""
    second = _difference(one.derivative)
    z = torch.tensor(_AT)
    s = one.on_tensor(torch, z)
    for what, found, expected in (
        ("on_tensor_", s, one.function(_AT)),
        ("derivative_on_tensor_", one.derivative_on_tensor(torch, z, s), one.derivative(_AT)),
        ("second_on_tensor", one.second_on_tensor(torch, z), second),
    ):
        if problem := _differs(found.numpy(), expected):
            return f"{one.name}.{what} that {problem}", _SAYS[what]
    if one.slopes is None:
        what, leaf = "on_tensor_ to differentiate", z.clone().requires_grad_()
        try:
            (slope,) = torch.autograd.grad(one.on_tensor(torch, leaf).sum(), leaf)
            problem = _differs(slope.numpy(), one.derivative(_AT))
        except RuntimeError as error:
            problem = f"torch does not differentiate ({error})"
        if problem:
            return f"{one.name}.on_tensor_ that {problem}", _SAYS[what]
    return None


def _difference(function: object) -> Array:
    assert callable(function)
    above, below = (np.asarray(function(_AT + h)) for h in (_STEP, -_STEP))
    return (above - below) / (2 * _STEP)


def _fits(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.shape == _AT.shape


def _differs(found: object, expected: Array) -> str:
    """What is wrong with numbers, in words; "" where they are those that are expected."""
    if not (isinstance(found, np.ndarray) and found.shape == expected.shape):
        return f"gives the shape {getattr(found, 'shape', ())} for {_AT.shape}"
    scale = 1.0 + float(np.abs(expected).max())
    off = np.abs(found - expected)
    if not (off <= _OFF * scale).all():
        k = np.unravel_index(int(np.argmax(np.where(np.isnan(off), np.inf, off))), off.shape)
        z = _AT[k[-2:]]
        return f"gives {float(found[k]):.6g} at {z:g}, where {float(expected[k]):.6g} follows"
    return ""
