"""The learning-rate tensor: what each parameter's squared derivative counts in a tangent kernel.

The neural tangent kernel is Theta_{ia,jb} = sum_mu lambda_mu dz_ia/dmu dz_jb/dmu over all
parameters mu; lambda_mu is ``lambda_b[l-1]`` for the biases of layer l and
``lambda_W[l-1]``/n_{l-1} for its weights (PDLT chapter 8), n_{l-1} being what a neuron sees.
"""

from __future__ import annotations

from dataclasses import dataclass

from finitewidth.models.architecture import Architecture
from finitewidth.models.perceptron import Perceptron

#: Names that :meth:`LearningRates.named` takes.
PARAMETERISATIONS = ("ntk", "standard", "pdlt")


@dataclass(frozen=True)
class LearningRates:
    """One value a layer, length L: see the module."""

    lambda_b: tuple[float, ...]
    lambda_W: tuple[float, ...]

    @classmethod
    def named(
        cls,
        name: str,
        network: Architecture | Perceptron,
        lambda_b: float | None = None,
        lambda_W: float | None = None,
    ) -> LearningRates:
        """The rates of a parameterisation, as the config names it.

        Parameters
        ----------
        name : str
            ``ntk``: W = sqrt(C_W/fan-in) w and b = sqrt(C_b) beta with unit rates for w and beta,
            hence C_b and C_W. ``standard``: unit rates for W and b themselves, what automatic
            differentiation of a plain network gives, hence 1 and the fan-in. ``pdlt``: the numbers
            ``lambda_b`` and ``lambda_W`` in every layer.

        Raises
        ------
        ValueError
            If there is none of that name, numbers are missing or negative, or are given where the
            name fixes them.
        """
        depth = network.depth
        if name not in PARAMETERISATIONS:
            raise ValueError(f"parameterisation {name!r} is none of {', '.join(PARAMETERISATIONS)}")
        if name != "pdlt":
            if lambda_b is not None or lambda_W is not None:
                raise ValueError(f"parameterisation {name} fixes lambda_b and lambda_W")
            if name == "ntk":
                return cls(tuple(network.C_b), tuple(network.C_W))
            return cls((1.0,) * depth, tuple(float(n) for n in network.fan_ins))
        if lambda_b is None or lambda_W is None or min(lambda_b, lambda_W) < 0:
            raise ValueError(
                f"parameterisation pdlt needs lambda_b and lambda_W of at least 0, not {lambda_b}"
                f" and {lambda_W}"
            )
        return cls((float(lambda_b),) * depth, (float(lambda_W),) * depth)


@dataclass(frozen=True, kw_only=True)
class Parameterisation:
    """Learning rates as a study file names them: what :meth:`LearningRates.named` takes besides."""

    name: str
    lambda_b: float | None
    lambda_W: float | None

    def rates(self, network: Architecture | Perceptron) -> LearningRates:
        """The rates of such networks; raises ``ValueError`` as :meth:`LearningRates.named`."""
        return LearningRates.named(self.name, network, self.lambda_b, self.lambda_W)
