"""What a program prints, beside what a page or notebook says that it prints."""

from __future__ import annotations

import re

import pytest

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
#: Rounding may move a last digit, here or on another processor.
_CLOSE = 2e-3


def differences(kept: str, fresh: str) -> list[str]:
    """How two texts differ, but for rounding of the numbers in them."""
    if _NUMBER.split(kept) != _NUMBER.split(fresh):
        return [f"{kept!r} is now {fresh!r}"]
    numbers = zip(_NUMBER.findall(kept), _NUMBER.findall(fresh), strict=True)
    return [f"{a} is now {b}" for a, b in numbers
            if float(b) != pytest.approx(float(a), rel=_CLOSE, abs=_last_digit(a))]  # fmt: skip


def _last_digit(number: str) -> float:
    return 1.5 * 10.0 ** -len(number.partition(".")[2]) if "." in number else 0.0
