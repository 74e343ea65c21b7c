"""What populations of a member take: how much is drawn and computed of them."""

from __future__ import annotations

import math

from finitewidth.models.activations import table as activations
from finitewidth.planning.member import Member


def grown(member: Member, inputs: int) -> dict[str, float]:
    """Neurons of populations, and members times layers of those drawn from a known law, and of
    those of tangent kernels whose layers are short; of tangent kernels of several inputs also the
    coefficients that members carry from layer to layer.

    Where a pilot chooses powers, about as many as orders whose networks differ enough at a variance
    of the logarithm of 1/n in each layer: twice that for some activations, less for others.
    """
    asked, count = member.population, dict.fromkeys(("grown", "tilted", "short", "forms"), 0.0)
    if asked is None:
        return count
    simple = activations.get(member.activation).is_scale_invariant and not member.C_b
    short = simple and inputs == 1 and member.network is None
    exact = asked.exact and short
    for width in member.rungs:
        widest = max(member.hidden or (width,))
        chosen = [k for k in asked.orders if k * k * member.depth > 1.5 * widest]
        members = asked.islands * asked.members_of(widest, inputs, exact) * member.depth
        powers = len(asked.powers or chosen) * bool(asked.orders)
        if exact:
            count["tilted"] += powers * members
        else:
            count["grown"] += powers * members * widest * inputs
        # Of tangent kernels all orders below the highest that needs one.
        needed = [k for k in asked.tangents if k * k * member.depth > 0.25 * widest]
        powers = len(asked.powers) or max(needed, default=0)
        hidden = tuple(member.hidden or (width,) * (member.depth - 1))
        members = asked.islands * asked.tangent_members(hidden, inputs, short=short) * member.depth
        if asked.tangents and short:
            count["short"] += powers * members
        elif asked.tangents:
            count["grown"] += 2 * powers * members * widest * inputs
            count["forms"] += powers * members * _coefficients(inputs)
    return count


def _coefficients(inputs: int) -> int:
    """What a member carries of two moments of tangent kernels (docs/estimates.md)."""
    if inputs == 1:
        return 0
    pairs = math.comb(inputs + 1, 2)
    return pairs * (1 + inputs**2) + math.comb(pairs + 1, 2) * (3 + 6 * inputs**2 + inputs**4)
