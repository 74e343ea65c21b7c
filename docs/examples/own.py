"""An extension of finitewidth with one of each kind (docs/extensions.md)."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from finitewidth.core.fields import Count, Positive, key
from finitewidth.data.kinds.kind import InputKind, Kind
from finitewidth.models.activations.activation import Activation
from finitewidth.quantities.description import AT_INPUT, Family, FigureEntry, Quantity

# An activation: the Gaussian bump, exp(-z^2/2).


def bump(z):
    return np.exp(-z * z / 2)


def bump_derivatives(z):
    # Hermite polynomials, (-1)^k He_k(z), times the function.
    q = z * z
    each = [1 + 0 * z, -z, q - 1, (3 - q) * z, (q - 6) * q + 3, ((10 - q) * q - 15) * z]
    return np.stack(each) * bump(z)


def bump_on_tensor(torch, z):
    return torch.exp(-0.5 * z * z)


ACTIVATIONS = [
    Activation(
        "bump",
        bump,
        lambda z: -z * bump(z),
        bump_on_tensor,
        derivative_on_tensor_=lambda torch, z, s: -z * s,
        second_on_tensor=lambda torch, z: (z * z - 1) * bump_on_tensor(torch, z),
        derivatives=bump_derivatives,
        strip=1.5,
    ),
]

# A kind of inputs: vectors along a spiral in a plane, longer and longer.


class Spiral(Kind):
    """Vectors in the first two components, each turned by one angle and longer by one factor."""

    kind: Literal["spiral"] = key("spiral")
    dimension: Annotated[int, Field(ge=2, le=10**6)] = key("a whole number of at least 2: n_0")
    count: Count = key("a whole number of at least 1: how many vectors")
    turn: Positive = key("a number above 0: degrees between one and the next", 30.0)
    growth: Positive = key("a number above 0: |x| of each over that of the one before", 1.1)


def spiral(path, spec, stream):
    k = np.arange(spec["count"])
    angle, length = np.deg2rad(spec["turn"]) * k, spec["growth"] ** k
    x = np.zeros((spec["count"], spec["dimension"]))
    x[:, 0], x[:, 1] = length * np.cos(angle), length * np.sin(angle)
    return x


KINDS = [InputKind("spiral", Spiral, spiral)]

# A family of quantities: the participation ratio of the recorded neurons of a layer.


def participations(layer):
    """E[z^2]^2/E[z^4] over all recorded neurons, shape (input,)."""
    from finitewidth.estimate.errors.jackknife import block_sums, jackknife

    z = layer.z  # (network, input, neuron)
    square, fourth = (z**2).mean(axis=2), (z**4).mean(axis=2)
    sums = block_sums(lambda at: {"square": square[at], "fourth": fourth[at]}, layer.bounds)

    def ratio(s, count):
        return s["square"] ** 2 / (count * s["fourth"])

    return {"participation": jackknife(sums, layer.bounds, ratio, correct_bias=True)}


def participation_theory(case):
    """1/(3 + kurtosis): a third at infinite width, where neurons are Gaussian."""
    from finitewidth.theory.predict.predicted_moments import kurtosis

    excess = kurtosis(case)["excess_kurtosis"]
    return {"participation": {order: 1 / (3 + values) for order, values in excess.items()}}


FAMILIES = [
    Family(
        "participation",
        (
            Quantity(
                "participation",
                AT_INPUT,
                "participation ratio of a neuron, E[z^2]^2/E[z^4]",
                equation="docs/extensions.md",
                unit=(),
            ),
        ),
        records=("preactivation",),
        estimator=participations,
        theory=participation_theory,
    ),
]

# A figure of it: one curve a member, measured and predicted.


def participation_by_layer(study):
    from finitewidth.figures.common import panels, style
    from finitewidth.figures.common.member_series import Measured, names

    figure, columns = panels.panels(1, width=3.2, height=2.4)
    (ax,) = columns[0]
    looks = panels.looks(len(study.members))
    for m, name, look in zip(study.members, names(study.members), looks, strict=True):
        layer = m.estimates["layer"].values
        measured = Measured.of(m.estimates, "participation", input=0)
        style.points(ax, layer, *measured, label=name, **look)
        for order in style.orders(m.theory, "participation"):
            line = m.theory["participation"].sel(order=order).isel(input=0)
            panels.curve(ax, layer, line.values, order, color=look["color"])
    panels.whole_axis(ax, [layer for m in study.members for layer in m.estimates["layer"].values])
    ax.set_xlabel("layer")
    ax.set_ylabel(r"$\mathrm{E}[z^2]^2/\mathrm{E}[z^4]$")
    panels.legend(figure, measured=False)
    return figure


FIGURES = {
    "participation_by_layer": FigureEntry(
        participation_by_layer,
        ("participation",),
        "Participation ratio of a neuron against layer, beside the Gaussian one.",
    ),
}
