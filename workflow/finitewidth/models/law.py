"""The law of an ensemble member: everything that fixes the distribution of one network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from finitewidth.models.activations.activation import Activation
from finitewidth.models.activations.table import get
from finitewidth.models.perceptron import ManyWidths, OneWidth

WEIGHT_LAWS = ("normal", "uniform", "pytorch")


@dataclass(frozen=True)
class Law:
    """A multilayer perceptron's architecture and the law of its weights.

    Layer l = 1..L has preactivations z^(l)_i = b_i + sum_j W_ij s_j of ``widths[l]`` neurons, where
    s is the input (l = 1) or sigma(z^(l-1)); Var b = ``C_b[l-1]``, Var W = ``C_W[l-1]``/fan-in.

    Attributes
    ----------
    activation_name : str
        A name that :func:`finitewidth.models.activations.table.get` knows.
    widths : tuple of int
        (n_0, n_1, ..., n_L): the input's dimension, the hidden widths, the outputs.
    C_b, C_W : tuple of float
        One value a layer, length L.
    weights : str
        ``normal``; ``uniform`` (same variances, for weights and biases); or ``pytorch``, the
        default of ``torch.nn.Linear``: uniform on +-1/sqrt(fan-in), C_W = 1/3, C_b = 1/(3 fan-in).
    """

    activation_name: str
    widths: tuple[int, ...]
    C_b: tuple[float, ...]
    C_W: tuple[float, ...]
    weights: str = "normal"

    def __post_init__(self) -> None:
        if not len(self.C_b) == len(self.C_W) == len(self.widths) - 1 > 0:
            raise ValueError(
                f"a law of {len(self.widths)} widths needs {len(self.widths) - 1} values of C_b and"
                f" C_W each, not {len(self.C_b)} and {len(self.C_W)}"
            )
        if self.weights not in WEIGHT_LAWS:
            raise ValueError(f"weights {self.weights!r} is none of {', '.join(WEIGHT_LAWS)}")

    @classmethod
    def uniform_width(
        cls,
        activation: str,
        *,
        dimension: int,
        width: int,
        depth: int,
        C_b: float | None = 0.0,
        C_W: float | None = 1.0,
        outputs: int | None = None,
        weights: str = "normal",
    ) -> Law:
        """A law whose hidden layers share one width; for ``pytorch`` weights C_b, C_W are set."""
        widths = (dimension, *(width,) * (depth - 1), outputs or width)
        return cls._of_widths(activation, weights, C_b, C_W, widths)

    @classmethod
    def of_member(cls, member: OneWidth | ManyWidths, *, dimension: int) -> Law:
        """The law of a config's member, of a ladder at its widest; n_0 = ``dimension``."""
        m = member
        hidden = m.hidden or (m.width,) * (m.depth - 1)
        return cls._of_widths(
            m.activation, m.weights, m.C_b, m.C_W, (dimension, *hidden, m.outputs)
        )

    @classmethod
    def of_ladder(cls, member: ManyWidths, *, dimension: int) -> list[Law]:
        """The laws of a ladder's rungs, which differ in their width alone."""
        m = member
        each = ((dimension, *(n,) * m.depth) for n in m.ladder)
        return [cls._of_widths(m.activation, m.weights, m.C_b, m.C_W, widths) for widths in each]

    @classmethod
    def _of_widths(
        cls,
        activation: str,
        weights: str,
        C_b: float | None,
        C_W: float | None,
        widths: tuple[int, ...],
    ) -> Law:
        depth = len(widths) - 1
        if weights == "pytorch":
            biases, scales = tuple(1 / (3 * n) for n in widths[:-1]), (1 / 3,) * depth
        elif C_b is None or C_W is None:
            raise ValueError(f"weights {weights!r} need C_b and C_W, not {C_b} and {C_W}")
        else:
            biases, scales = (float(C_b),) * depth, (float(C_W),) * depth
        return cls(activation, tuple(widths), biases, scales, weights)

    @property
    def depth(self) -> int:
        """L, the number of weight matrices."""
        return len(self.widths) - 1

    @cached_property
    def activation(self) -> Activation:
        """The activation itself."""
        return get(self.activation_name)

    @cached_property
    def is_scale_invariant(self) -> bool:
        """Whether scaling the input by c > 0 scales every preactivation by c (no bias)."""
        return self.activation.is_scale_invariant and not any(self.C_b)

    @property
    def excess_kurtosis(self) -> float:
        """Excess kurtosis of one weight (and of one bias): 0 normal, -6/5 uniform."""
        return 0.0 if self.weights == "normal" else -6 / 5
