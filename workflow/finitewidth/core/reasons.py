"""Why a standard error is not believed: a closed vocabulary, and how it stands in files and tables.

A reason is a flag (a small integer) with a diagnostic (the number that it was read off): both stand
beside every estimate, and the table makes a sentence of them.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

Array = np.ndarray


class Reason(IntEnum):
    """The flags of ``<name>_reason``; 0 is none, which is to be trusted.

    The values are those of the files of results: a new reason gets a new number.
    """

    NONE = 0
    NOT_MEASURED = 1
    NOT_FINITE = 2
    TOO_FEW_NETWORKS = 3
    TOO_FEW_REPLICAS = 4
    TOO_FEW_GROUPS = 5
    TOO_NARROW = 6
    NO_SPREAD = 7
    DEAD = 8
    RARE_EVENT = 9
    SKEW = 10
    ONE_BLOCK = 11
    HEAVY_TAIL = 12
    UNKNOWN_VARIANCE = 13
    NO_FIT = 14
    SINGULAR = 15
    UNSEEN_TAIL = 16
    ISLANDS = 17
    FEW_MEMBERS = 18
    KNOWN = 19


#: What a table says, {x} being the diagnostic.
_SENTENCES = {
    Reason.NONE: "",
    Reason.NOT_MEASURED: "not measured here",
    Reason.NOT_FINITE: "not finite: out of the range of floating point, or divided by zero",
    Reason.TOO_FEW_NETWORKS: "too few networks for an error: {x:.0f} are not dead",
    Reason.TOO_FEW_REPLICAS: "too few replicas for an error: {x:.0f}",
    Reason.TOO_FEW_GROUPS: "too few groups of networks for a share of them: {x:.0f}",
    Reason.TOO_NARROW: "too narrow: {x:.0f} neurons",
    Reason.NO_SPREAD: "no spread seen beyond rounding: nothing is known of the error",
    Reason.DEAD: "dead: the layer is zero in {x:.0f} networks",
    Reason.RARE_EVENT: "few counts: {x:.0f} networks on one side of the event",
    Reason.SKEW: "heavy tail: the estimate has the skewness {x:.2g}",
    Reason.ONE_BLOCK: "heavy tail: one block of networks carries {x:.0%} of the variance",
    Reason.HEAVY_TAIL: "heavy tail: the blocks of networks have the tail index {x:.2g}",
    Reason.UNKNOWN_VARIANCE: "heavy tail: the variance is known to {x:.0%} only",
    Reason.NO_FIT: "no expansion in 1/n fits the widths: p = {x:.1g}",
    Reason.SINGULAR: "singular: an eigenvalue is 0 within rounding in {x:.0f} networks",
    Reason.ISLANDS: "heavy tail: islands of the population differ by {x:.0%}",
    Reason.FEW_MEMBERS: "heavy tail, not met by so few members: the mean has the skewness {x:.2g}",
    Reason.KNOWN: "known by the law that networks were drawn from, of power {x:g}: no measurement",
    Reason.UNSEEN_TAIL: "heavy tail, not met by so few networks: its mean has the skewness {x:.2g}",
}


def sentence(reason: int, diagnostic: float) -> str:
    """What a table says of a flag and its diagnostic; empty of none."""
    text = _SENTENCES[Reason(reason)]
    if "{x" not in text or np.isfinite(diagnostic):
        return text.format(x=diagnostic)
    # Without its number: what stands before the colon, or all but it.
    return text.partition(":")[0]


def variables(name: str, dims: tuple[str, ...], reason: Array, diagnostic: Array, of: str) -> dict:
    """``<name>_trusted``, ``<name>_reason`` and ``<name>_diagnostic`` of a dataset.

    Parameters
    ----------
    name : str
        The quantity.
    dims : tuple of str
    reason, diagnostic : array
        Flags of :class:`Reason`, and the number each was read off (NaN where there is none).
    of : str
        The quantity's long name.
    """
    flags = np.array([r.value for r in Reason], np.int8)
    reason = np.asarray(reason)
    return {
        f"{name}_trusted": (
            dims,
            (reason == Reason.NONE).astype(np.int8),
            {
                "long_name": f"whether the standard error can be believed: {of}",
                "units": "1",
                "flag_values": np.array([0, 1], np.int8),
                "flag_meanings": "untrusted trusted",
            },
        ),
        f"{name}_reason": (
            dims,
            reason.astype(np.int8),
            {
                "long_name": f"why the standard error is not believed: {of}",
                "units": "1",
                "flag_values": flags,
                "flag_meanings": " ".join(r.name.lower() for r in Reason),
            },
        ),
        f"{name}_diagnostic": (
            dims,
            # Single precision: it is read, not computed with.
            np.asarray(diagnostic, np.float32),
            {"long_name": f"the number that the reason was read off: {of}", "units": "1"},
        ),
    }
