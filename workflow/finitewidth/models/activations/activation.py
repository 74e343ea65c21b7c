"""What an activation is: the function, its derivatives, and the same for torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

Array = np.ndarray
#: A ``torch.Tensor``, by a name that does not import torch.
Tensor = Any


def erf(z: Array) -> Array:
    """SciPy's, imported by those who compute: a plan, a table and many a job want names alone."""
    from scipy import special

    return special.erf(z)


def ndtr(z: Array) -> Array:
    """The normal distribution function; SciPy's, as above."""
    from scipy import special

    return special.ndtr(z)


def expit(z: Array) -> Array:
    """The logistic function; SciPy's, as above."""
    from scipy import special

    return special.expit(z)


@dataclass(frozen=True)
class Activation:
    """One activation function sigma.

    Attributes
    ----------
    name : str
        As written in the config, for example ``"relu"`` or ``"leaky_relu(0.1)"``.
    function, derivative : callable
        Elementwise on numpy arrays of any shape. At a kink the derivative is 0.
    on_tensor_, derivative_on_tensor_ : callable
        For z that nobody reads any more: ``on_tensor_(torch, z)`` is sigma(z) of a torch tensor of
        any shape, ``derivative_on_tensor_(torch, z, s)`` is sigma'(z), given s = sigma(z) as well,
        and 0 at a kink. Both may overwrite z, and their result may be z itself; hence the
        underscore, as in torch. Whoever still reads z calls the methods of the same names without
        it. They take the module as an argument so that this table can be read without importing
        torch.
    second_on_tensor : callable
        ``second_on_tensor(torch, z)`` is sigma''(z), 0 at a kink, in memory of its own.
    slopes : tuple of float, optional
        ``(a_plus, a_minus)`` where sigma(z) = a_plus z for z > 0 and a_minus z for z < 0.
    derivatives : callable, optional
        The function and its first five derivatives, stacked: shape (6, *z.shape). None where the
        function has a kink.
    strip : float, optional
        Half-width of a strip around the real axis in which the function is analytic and not much
        larger than on the axis: it fixes how fine a grid has to be. None where there is a kink.
    """

    name: str
    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    on_tensor_: Callable
    derivative_on_tensor_: Callable
    second_on_tensor: Callable
    slopes: tuple[float, float] | None = None
    derivatives: Callable[[Array], Array] | None = None
    strip: float | None = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickled and copied by name where the table has it: its functions mostly have no name."""
        from finitewidth.models.activations import table

        made = self.slopes is not None and self.name.partition("(")[0] in table.FAMILIES
        listed = made or table.TABLE.get(self.name) is self
        return (table.get, (self.name,)) if listed else super().__reduce_ex__(protocol)

    def on_tensor(self, torch: ModuleType, z: Tensor) -> Tensor:
        """sigma(z) in memory of its own: ``z`` stays as it is, whatever shares its memory."""
        return self.on_tensor_(torch, z.clone())

    def derivative_on_tensor(self, torch: ModuleType, z: Tensor, s: Tensor) -> Tensor:
        """sigma'(z), given s = sigma(z), in memory of its own: both stay as they are."""
        return self.derivative_on_tensor_(torch, z.clone(), s)

    @property
    def slope_pair(self) -> tuple[float, float]:
        """``slopes`` of an activation that has them; raises ``ValueError`` for one that has not."""
        if self.slopes is None:
            raise ValueError(f"{self.name} is no line on each side of 0")
        return self.slopes

    @property
    def strip_width(self) -> float:
        """``strip`` of an activation without a kink; raises ``ValueError`` for one with a kink."""
        if self.strip is None:
            raise ValueError(f"{self.name} has a kink")
        return self.strip

    def jet(self, z: Array) -> Array:
        """``derivatives`` of an activation without a kink, shape (6, *z.shape).

        Raises ``ValueError`` for one with a kink.
        """
        if self.derivatives is None:
            raise ValueError(f"{self.name} has a kink")
        return self.derivatives(z)

    @property
    def is_scale_invariant(self) -> bool:
        """Whether sigma(c z) = c sigma(z) for every c > 0."""
        return self.slopes is not None

    @property
    def is_linear(self) -> bool:
        """Whether sigma is the identity."""
        return self.slopes == (1.0, 1.0)


def two_slopes(name: str, plus: float, minus: float, on_tensor_: Callable) -> Activation:
    return Activation(
        name=name,
        function=lambda z: np.where(z > 0, plus * z, minus * z),
        derivative=lambda z: np.where(z > 0, plus, np.where(z < 0, minus, 0.0)),
        on_tensor_=on_tensor_,
        derivative_on_tensor_=_gate(plus, minus),
        second_on_tensor=lambda torch, z: torch.zeros_like(z),
        slopes=(plus, minus),
    )


def _gate(plus: float, minus: float) -> Callable:
    """The slope on the side where z lies, in place of z."""
    if (plus, minus) == (1.0, 0.0):
        return lambda torch, z, s: torch.sign(s, out=z)

    def gate(torch: ModuleType, z: Tensor, s: Tensor) -> Tensor:
        z.sign_()
        # Exactly 0 at the kink, where the sign is.
        return torch.add(z.abs().mul_((plus + minus) / 2), z, alpha=(plus - minus) / 2, out=z)

    return gate
