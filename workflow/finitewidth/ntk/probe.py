"""Whether a model is a function of one input at a time, and whether its derivatives are right.

What a model does cannot be told from its type: hooks, parametrizations, and a forward pass of its
own change it. So it is called, and J^T u is computed by one backward pass for a random u over
outputs and inputs. No such product of a wrong Jacobian, and no u^T Theta u of a wrong kernel, is
right but with probability 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from finitewidth.ntk.autodiff import Function, Tensors, gradients
from finitewidth.ntk.saved import Saved


class NoFunctionError(Exception):
    """Outputs are no function of one input; the rest of the sentence "the model"."""


@dataclass(frozen=True)
class Probe:
    """A call of the model, and one backward pass, at those inputs whose outputs are finite.

    Attributes
    ----------
    kept : tensor, shape (all inputs,)
        Which of them these are; all, where none is.
    z, u : tensors, shape (inputs, outputs)
        The outputs, and what they were weighed with.
    pulled : dict of tensors
        J^T u, parameter by parameter.
    """

    kept: torch.Tensor
    z: torch.Tensor
    u: torch.Tensor
    pulled: Tensors

    @classmethod
    def of(cls, function: Function, x: torch.Tensor, z: torch.Tensor, saved: Saved) -> Probe:
        """Call the model at ``x``, shape (inputs, ...), where its outputs are ``z``.

        Raises
        ------
        NoFunctionError
            If it draws random numbers, or reads parameters that it does not show.
        """
        kept = z.isfinite().all(1)
        if not kept.all() and kept.any():
            x, z = x[kept], z[kept]
        else:
            kept = torch.ones_like(kept)
        generator = torch.Generator().manual_seed(1)
        u = torch.randn(z.shape, generator=generator, dtype=torch.float64).to(z)
        leaves = function.leaves()
        own = {n: p for n, p in function.model.named_parameters() if p.requires_grad}
        found = function(leaves, x)
        drawn = saved.random_numbers_were_drawn()
        past = gradients(found, [*own.values()], u)
        pulled = _pulled(found, leaves, u)
        saved.put_back()
        if drawn:
            raise NoFunctionError("draws random numbers")
        for name, g in zip(own, past, strict=True):
            if g is not None:
                raise NoFunctionError(f"reads {name} otherwise than as an attribute of its module")
        return cls(kept, found.detach(), u, pulled)

    def fits_outputs(self, z: torch.Tensor) -> bool:
        """Whether outputs computed by the same operations are the same."""
        return _same(z[self.kept], self.z, _eps(z) ** 0.75)

    def fits_rows(self, rows: Tensors, closely: bool = True) -> bool:
        """Whether a Jacobian, (inputs, outputs, P) a parameter, has this J^T u.

        ``closely``: where no ReLU is turned over by rounding.
        """
        u = self.u.double()
        found = {
            name: torch.einsum("ai,aip->p", u, J[self.kept].double()) for name, J in rows.items()
        }
        return _agree(found, self.pulled, 0.5 if closely else 0.25)

    def fits_parts(self, parts: Tensors, roots: dict[str, float], closely: bool = True) -> bool:
        """Whether kernels, (outputs, outputs, inputs, inputs) a parameter, have its square."""
        u = self.u.double()
        found = {}
        for name, part in parts.items():
            if not self.kept.all():
                part = part[:, :, self.kept][..., self.kept]
            found[name] = (u * torch.einsum("ijab,bj->ai", part.double(), u)).sum()
        squares = {
            name: (roots[name] * g.double()).square().sum() for name, g in self.pulled.items()
        }
        eps = max(map(_eps, (self.z, *parts.values())), default=0.0)
        return _agree(found, squares, 0.5 if closely else 0.25, eps)


def check_calls(function: Function, x: torch.Tensor, probe: Probe, saved: Saved) -> None:
    """Raise :class:`NoFunctionError` if outputs depend on the call.

    The model is called twice more without its state being put back between.
    """
    x, buffers = x[probe.kept], {name: b.clone() for name, b in function.buffers.items()}
    leaves, eps = function.leaves(), _eps(probe.z)
    for _ in range(2):
        z = function(leaves, x, buffers)
        # Equal operations may round in another order: a change of state is held to all digits.
        moved = any(not torch.equal(buffers[n], b) for n, b in function.buffers.items())
        same = z.shape == probe.z.shape and _same(z, probe.z, 0.0 if moved else eps**0.7)
        if not same or not _agree(_pulled(z, leaves, probe.u), probe.pulled, finite=True):
            saved.put_back()
            raise NoFunctionError("gives other outputs at its next call")
    saved.put_back()


def check_one_input(function: Function, x: torch.Tensor, probe: Probe, saved: Saved) -> None:
    """Raise :class:`NoFunctionError` if an output depends on the other inputs of its batch.

    The model is called with other inputs in place of some. For each binary digit of an input's
    number, those inputs that have the digit are kept, and then those that do not have it. So of any
    two inputs one is kept without the other. Last, all of them stand among as many others, in
    reverse order. Values are held closely where shapes are the same, and loosely where rounding may
    differ; derivatives loosely, since rounding may turn a ReLU over.
    """
    x, eps = x[probe.kept], _eps(probe.z)
    number = torch.arange(len(x), device=x.device)
    leaves = function.leaves()
    z = function(leaves, x)
    cases = []
    for bit in range((len(x) - 1).bit_length()):
        for digit in (0, 1):
            kept = number[(number >> bit) % 2 == digit]
            weights = torch.zeros_like(probe.u)
            weights[kept] = probe.u[kept]
            cases.append((kept, kept, _pulled(z, leaves, weights), eps**0.7))
    cases.append((number.flip(0), number + len(x), probe.pulled, eps**0.25))
    saved.put_back()
    for kept, places, pulled, tolerance in cases:
        for other in _others(x):
            batch = other.clone() if places is kept else torch.cat([other, other])
            batch[places] = x[kept]
            leaves = function.leaves()
            try:
                z = function(leaves, batch)
                if z.shape != (len(batch), probe.z.shape[1]):
                    continue
                if probe.z.isfinite().all() and not z.isfinite().all():
                    continue
                weights = torch.zeros_like(z)
                weights[places] = probe.u[kept]
                found = _pulled(z, leaves, weights)
            except Exception:
                # The model may not take such inputs, or not as many.
                continue
            finally:
                saved.put_back()
            if not _same(z[places], probe.z[kept], tolerance) or not _agree(
                found, pulled, finite=True
            ):
                raise NoFunctionError("gives an input other outputs beside other inputs")
            break


def _others(x: torch.Tensor) -> Iterator[torch.Tensor]:
    """Inputs like ``x`` that are not those, the likeliest to be taken first."""
    if x.is_floating_point():
        yield 0.37 * x + 0.23
    for other in (x.roll(1, 0), x.roll(1, -1), torch.zeros_like(x), torch.ones_like(x)):
        if not torch.equal(other, x):
            yield other


def _pulled(z: torch.Tensor, leaves: Tensors, cotangent: torch.Tensor) -> Tensors:
    found = gradients(z, [*leaves.values()], cotangent)
    return {
        name: p.new_zeros(p.numel()) if g is None else g.detach().flatten()
        for (name, p), g in zip(leaves.items(), found, strict=True)
    }


def _eps(z: torch.Tensor) -> float:
    return torch.finfo(z.dtype).eps


def _norm(one: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(one.detach().double()))


def _same(
    one: torch.Tensor,
    other: torch.Tensor,
    tolerance: float,
    floor: float = 0.0,
    finite: bool = False,
) -> bool:
    """Whether two tensors agree in the norm of what is finite.

    Unless ``finite``, also in which of their entries are.
    """
    one, other = one.detach().double(), other.detach().double()
    if not finite and not torch.equal(one.isfinite(), other.isfinite()):
        return False
    both, zero = one.isfinite() & other.isfinite(), torch.zeros_like(other)
    one, other = torch.where(both, one, zero), torch.where(both, other, zero)
    return _norm(one - other) <= tolerance * _norm(other) + floor


def _agree(
    found: Tensors, expected: Tensors, power: float = 0.25, eps: float = 0.0, finite: bool = False
) -> bool:
    """Whether derivatives agree to eps^power; those that are 0 may be rounding of others.

    ``finite``: where both are, since 0 times the derivative of another input may not be.
    """
    scale = sum(_norm(g[g.isfinite()]) ** 2 for g in expected.values()) ** 0.5
    return all(
        _same(
            found[name], g, (e := max(eps, _eps(g))) ** power, e ** (power + 0.25) * scale, finite
        )
        for name, g in expected.items()
    )
