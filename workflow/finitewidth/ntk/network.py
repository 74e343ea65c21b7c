"""The tangent kernel of one network, any ``torch.nn.Module`` of anyone's, trained or not.

Theta_{ia,jb} = sum_mu lambda_mu dz_ia/dmu dz_jb/dmu over the parameters mu; the matrix over outputs
and inputs (sample form) has the eigenvalues, but for zeros, of the one over parameters (parameter
form): J J^T and J^T J of one Jacobian J.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from finitewidth.ntk import autodiff, structured
from finitewidth.ntk.autodiff import Function
from finitewidth.ntk.models import check_model, check_outputs, roots_of, suspect
from finitewidth.ntk.probe import NoFunctionError, Probe, check_one_input
from finitewidth.ntk.saved import Saved
from finitewidth.rates import Rates

#: How it is computed: see :func:`tangent_kernel`.
WAYS = ("layerwise", "jacobian", "jvp", "backward")
FORMS = ("samples", "parameters", "smaller")
#: In which order they are tried where none is asked for.
_ORDER = ("layerwise", "jacobian", "backward", "jvp")


@dataclass(frozen=True)
class TangentKernel:
    """A tangent kernel, part by part.

    Attributes
    ----------
    form : str
        ``samples`` or ``parameters``.
    parts : dict of tensors
        What each parameter of the model contributes, by its name (``"0.weight"``). In sample form
        of shape (outputs, outputs, inputs, inputs); in parameter form (P, P), P the number of its
        entries: the blocks on the diagonal of the whole.
    total : tensor
        Their sum; in parameter form the whole matrix, in the order of ``parts``.
    """

    form: str
    parts: dict[str, torch.Tensor]
    total: torch.Tensor

    @property
    def matrix(self) -> torch.Tensor:
        """Two-dimensional: rows and columns run over outputs and, faster, inputs."""
        if self.form == "parameters":
            return self.total
        k, _, N, _ = self.total.shape
        return self.total.transpose(1, 2).reshape(k * N, k * N)


def tangent_kernel(
    model: nn.Module,
    x: torch.Tensor,
    way: str | None = None,
    rates: Rates | None = None,
    form: str = "samples",
    check: bool = True,
) -> TangentKernel:
    """The tangent kernel of ``model`` at the inputs ``x``.

    Every parameter counts, frozen ones (``requires_grad`` False) too, and one that stands in two
    places once, by its first name: what ``torch.func.functional_call`` and ``jacrev`` give over
    ``dict(model.named_parameters())``.

    Parameters
    ----------
    model : torch.nn.Module
        From inputs (N, ...) to outputs (N, outputs). It is left as it was, and so are the states
        of the generators of random numbers. Its outputs must be a function of one input each.
    x : tensor, shape (N, ...)
    way : str, optional
        ``layerwise``: sum over layers of activation Gram times backpropagated Gram, without
        differentiation, the fast one, for a Sequential (of Sequentials) of Linear, Flatten and
        elementwise activations. ``jacobian``: reverse-mode Jacobian of all inputs at once, and
        contraction. ``jvp``: a vector-Jacobian and a Jacobian-vector product a column.
        ``backward``: one backward pass an output, which takes whatever a training loop takes.
        Where left out, the first of layerwise, jacobian, backward and jvp that takes the model.
    rates : Rates, optional
        One value a layer with parameters, which must be Linear or convolution layers. Every
        parameter counts 1 where left out (standard).
    form : str
        ``samples``, ``parameters``, or ``smaller``, the smaller of the two.
    check : bool
        False leaves out all checks of what the model does. It is for a model that is known to be
        what its way takes, such as that of :func:`finitewidth.ntk.structured.sequential`.

    Raises
    ------
    ValueError
        For an unknown way or form, rates that do not fit, and a model that the way, or that no way
        can take: one sentence, with the way that works.
    """
    if way is not None and way not in WAYS:
        raise ValueError(f"way {way!r} is none of {', '.join(WAYS)}")
    if form not in FORMS:
        raise ValueError(f"form {form!r} is none of {', '.join(FORMS)}")
    check_model(model, x)
    roots = roots_of(model, rates)
    with torch.inference_mode(False), torch.enable_grad():
        job = _Job(model, x.detach().clone(), roots, form, check)
        try:
            return job.kernel(way)
        finally:
            job.saved.put_back()


class _Job:
    """One model at given inputs, and its kernel by any way."""

    def __init__(self, model, x, roots, form, check):
        self.saved = Saved(model, x.device)
        self.function, self.x, self.roots = Function.of(model), x, roots
        self.check, self.form = check, form
        self.probe, self._one_input = None, False

    def kernel(self, way: str | None) -> TangentKernel:
        """By the way that is asked for, or by the first that works."""
        model = self.function.model
        z = self._outputs()
        if self.form == "smaller":
            count = sum(p.numel() for p in model.parameters())
            self.form = "samples" if z.numel() <= count else "parameters"
        try:
            if self.check:
                self.probe = Probe.of(self.function, self.x, z, self.saved)
            found, reasons = self._first([way] if way else list(_ORDER), z)
            if found is None and way:
                other = self._first([one for one in _ORDER if one != way], z)[0]
                if other is not None:
                    raise ValueError(f"{reasons[way]}: use {other[0]}")
        except NoFunctionError as reason:
            raise ValueError(self._no_function(reason)) from None
        if found is None:
            raise ValueError(f"{reasons[way or 'backward']}, and no other way takes this model")
        return found[1]

    def first_way(self) -> str:
        """The first way that works."""
        z = self._outputs()
        self.probe = Probe.of(self.function, self.x, z, self.saved)
        return self._first(list(_ORDER), z)[0][0]

    def _outputs(self) -> torch.Tensor:
        try:
            z = self.function(self.function.parameters, self.x)
        except Exception as error:
            self.saved.put_back()
            # What the model itself cannot do is told by its own error.
            self.function.model(self.x.clone())
            raise ValueError(
                f"no way takes a model whose parameters cannot be replaced ({_line(error)}): give"
                " the plain module that it was made of"
            ) from error
        self.saved.put_back()
        check_outputs(z, self.x)
        return z.detach()

    def _first(self, ways: list[str], z: torch.Tensor) -> tuple:
        """(way, kernel) of the first way that works, or None, and why the others do not."""
        reasons = {}
        for way in ways:
            # The sum over layers takes inputs one by one, or does not pass the probe.
            if self.check and way != "layerwise" and not self._one_input:
                check_one_input(self.function, self.x, self.probe, self.saved)
                self._one_input = True
            try:
                return (way, self._by(way, z)), reasons
            except _RefusalError as reason:
                reasons[way] = f"the {way} way {reason}"
            finally:
                self.saved.put_back()
        return None, reasons

    def _by(self, way: str, z: torch.Tensor) -> TangentKernel:
        whole = self.form == "samples" and way in ("layerwise", "jvp")
        try:
            if not self.function.parameters:
                outputs, found = z, {}
            elif way == "layerwise":
                compute = structured.kernel_parts if whole else structured.jacobian
                outputs, found = compute(self.function.model, self.x, *[self.roots] * whole)
            else:
                compute = {
                    "jacobian": autodiff.reverse_jacobian,
                    "jvp": autodiff.kernel_parts if whole else autodiff.forward_jacobian,
                    "backward": autodiff.backward_jacobian,
                }[way]
                outputs, found = z, compute(self.function, self.x, *[self.roots] * whole)
        except structured.NotStructuredError as reason:
            raise _RefusalError(str(reason)) from None
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise _RefusalError(f"fails on this model ({_line(error)})") from error
        # In the order of the model's own parameters.
        found = {name: found[name].detach() for name in self.function.parameters}
        if self.check:
            same = way != "layerwise" or self.probe.fits_outputs(outputs)
            fits = (
                self.probe.fits_parts(found, self.roots) if whole else self.probe.fits_rows(found)
            )
            if not same or not fits:
                raise _RefusalError("has other derivatives than a backward pass, by this model")
        return _contracted(found, z, self.roots, self.form, whole)

    def _no_function(self, reason: NoFunctionError) -> str:
        """The sentence for outputs that depend on the call or on the other inputs."""
        model = self.function.model
        culprit, cure = suspect(model), None
        if any(module.training for module in model.modules()):
            model.eval()
            try:
                job = _Job(model, self.x, self.roots, self.form, True)
                cure = job.first_way()
            except Exception:
                culprit = suspect(model)
            self.saved.put_back()
        what = f"the model {reason}"
        if culprit:
            what = f"{culprit} outputs are no function of one input ({what})"
        if cure:
            return f"{what}: call model.eval() first, and use {cure}"
        return f"{what}, so that no way has a kernel that is its own"


class _RefusalError(Exception):
    """A way does not take a model; the rest of the sentence "the ... way"."""


def _line(error: Exception) -> str:
    """The first sentence of an error."""
    text = " ".join(str(error).split()).split(". ")[0].rstrip(".")
    return f"{type(error).__name__}: {text[:150]}"


def _contracted(found, z, roots, form: str, whole: bool) -> TangentKernel:
    """The kernel of its parts where that is ``whole``, or of rows of the Jacobian."""
    parts = found
    if not whole:
        rows = {name: J * roots[name] for name, J in found.items()}
        if form == "parameters":
            flat = {name: J.flatten(0, 1) for name, J in rows.items()}
            J = torch.cat([z.new_zeros(z.numel(), 0), *flat.values()], dim=1)
            return TangentKernel(form, {name: J.T @ J for name, J in flat.items()}, J.T @ J)
        parts = {name: torch.einsum("aip,bjp->ijab", J, J) for name, J in rows.items()}
    N, k = z.shape
    return TangentKernel(form, parts, sum(parts.values(), z.new_zeros(k, k, N, N)))
