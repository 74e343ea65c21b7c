"""One model's tangent kernel by the way that is asked for, held against one backward pass.

Or, where that way does not take the model, the sentence that names one that does.
"""

from __future__ import annotations

import warnings

import torch
from torch import nn

from finitewidth.ntk import autodiff, structured
from finitewidth.ntk.autodiff import Function, Tensors, doubled
from finitewidth.ntk.probe import NoFunctionError, Probe, check_calls, check_one_input
from finitewidth.ntk.saved import Saved
from finitewidth.ntk.supported import check_outputs, suspect

#: In which order ways are tried where none is asked for.
_ORDER = ("layerwise", "jacobian", "backward", "jvp")
#: Form, parts and total: see :class:`finitewidth.ntk.network.TangentKernel`.
Kernel = tuple[str, dict[str, torch.Tensor], torch.Tensor]


class Trial:
    """One model at given inputs, and its kernel by any way."""

    #: Made by the first call of the model, where it is checked.
    probe: Probe

    def __init__(
        self, model: nn.Module, x: torch.Tensor, roots: dict[str, float], form: str, check: bool
    ):
        self.saved = Saved(model, x.device)
        self.function, self.x, self.roots = Function.of(model), x, roots
        self.check, self.form = check, form
        self._one_input = False

    def kernel(self, way: str | None) -> Kernel:
        """By the way that is asked for, or by the first that works."""
        model = self.function.model
        try:
            z = self._outputs()
            if self.form == "smaller":
                count = sum(p.numel() for p in model.parameters())
                self.form = "samples" if z.numel() <= count else "parameters"
            if self.check:
                self._call(z)
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
        self._call(z)
        found, _ = self._first(list(_ORDER), z)
        if found is None:
            raise ValueError("no way takes this model")
        return found[0]

    def _call(self, z: torch.Tensor) -> None:
        try:
            self.probe = Probe.of(self.function, self.x, z, self.saved)
            check_calls(self.function, self.x, self.probe, self.saved)
        except (NoFunctionError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise ValueError(
                f"no way takes a model that a backward pass fails on ({_line(error)})"
            ) from error

    def _outputs(self) -> torch.Tensor:
        try:
            z = self.function(self.function.leaves(), self.x)
        except Exception as error:
            self.saved.put_back()
            if isinstance(error, ValueError) and suspect(self.function.model):
                # Such as one input alone, whose variance a BatchNorm cannot have.
                raise NoFunctionError(f"fails on these inputs ({_line(error)})") from error
            # What the model itself cannot do is told by its own error.
            self.function.model(self.x.clone())
            raise ValueError(
                f"no way takes a model whose parameters cannot be replaced ({_line(error)}): give"
                " the plain module that it was made of"
            ) from error
        self.saved.put_back()
        check_outputs(z, self.x)
        return z.detach()

    def _first(
        self, ways: list[str], z: torch.Tensor
    ) -> tuple[tuple[str, Kernel] | None, dict[str, str]]:
        """(way, kernel) of the first way that works, or None, and why the others do not."""
        reasons: dict[str, str] = {}
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

    def _by(self, way: str, z: torch.Tensor) -> Kernel:
        whole = self.form == "samples" and way in ("layerwise", "jvp")
        try:
            outputs, found = self._found(way, whole, z)
        except structured.NotStructuredError as reason:
            raise _RefusalError(str(reason)) from None
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise _RefusalError(f"fails on this model ({_line(error)})") from error
        if self.check:
            same = way != "layerwise" or self.probe.fits_outputs(outputs)
            if not same or not (
                self._fits(found, whole) or self._fits_in_double(way, whole, found)
            ):
                raise _RefusalError("has other derivatives than a backward pass, by this model")
        return _contracted(found, z, self.roots, self.form, whole)

    def _found(self, way: str, whole: bool, z: torch.Tensor) -> tuple[torch.Tensor, dict]:
        """Outputs, and kernels of the parameters where ``whole``, or else rows of the Jacobian."""
        function, outputs = self.function, z
        found: Tensors = {}
        if not function.parameters:
            pass
        elif way == "layerwise":
            if whole:
                outputs, found = structured.kernel_parts(function.model, self.x, self.roots)
            else:
                outputs, found = structured.jacobian(function.model, self.x)
        else:
            rows = {
                "jacobian": autodiff.reverse_jacobian,
                "jvp": autodiff.forward_jacobian,
                "backward": autodiff.backward_jacobian,
            }[way]
            with warnings.catch_warnings():
                # What vmap cannot do at once it does one by one, and complains.
                warnings.filterwarnings("ignore", message="There is a performance drop")
                if whole:
                    found = autodiff.kernel_parts(function, self.x, self.roots)
                else:
                    found = rows(function, self.x)
        # In the order of the model's own parameters.
        return outputs, {name: found[name].detach() for name in function.parameters}

    def _fits(self, found: dict, whole: bool, closely: bool = True) -> bool:
        if whole:
            return self.probe.fits_parts(found, self.roots, closely)
        return self.probe.fits_rows(found, closely)

    def _fits_in_double(self, way: str, whole: bool, found: dict) -> bool:
        """What is not equal to rounding may be a ReLU turned over: double precision tells."""
        loosely = self._fits(found, whole, closely=False)
        if way == "layerwise":
            return loosely
        self.saved.put_back()
        trial = Trial(self.function.model, doubled(self.x), self.roots, self.form, True)
        trial.function = self.function.double()
        try:
            z = trial._outputs()
            trial.probe = Probe.of(trial.function, trial.x, z, trial.saved)
            return z.dtype == torch.float64 and trial._fits(trial._found(way, whole, z)[1], whole)
        except Exception:
            # Not every model can be had in double precision.
            return loosely
        finally:
            trial.saved.put_back()

    def _no_function(self, reason: NoFunctionError) -> str:
        """The sentence for outputs that depend on the call or on the other inputs."""
        model = self.function.model
        culprit, cure = suspect(model), None
        if any(module.training for module in model.modules()):
            model.eval()
            try:
                trial = Trial(model, self.x, self.roots, self.form, True)
                cure = trial.first_way()
            except Exception:
                culprit = suspect(model)
            self.saved.put_back()
        what = f"the model {reason}"
        if culprit:
            what = f"{culprit} outputs are no function of one input ({what})"
        if cure:
            return f"{what}: call model.eval() first, and use {cure}"
        return f"{what}, and no way gives a kernel for that"


class _RefusalError(Exception):
    """A way does not take a model; the rest of the sentence "the ... way"."""


def _line(error: Exception) -> str:
    """The first sentence of an error."""
    text = " ".join(str(error).split()).split(". ")[0].rstrip(".")
    return f"{type(error).__name__}: {text[:150]}"


def _contracted(found: dict, z: torch.Tensor, roots: dict, form: str, whole: bool) -> Kernel:
    """The kernel, of its parts where that is ``whole``, or of rows of the Jacobian."""
    parts = found
    if not whole:
        rows = {name: J * roots[name] for name, J in found.items()}
        if form == "parameters":
            flat = {name: J.flatten(0, 1) for name, J in rows.items()}
            J = torch.cat([z.new_zeros(z.numel(), 0), *flat.values()], dim=1)
            return form, {name: J.T @ J for name, J in flat.items()}, J.T @ J
        parts = {name: torch.einsum("aip,bjp->ijab", J, J) for name, J in rows.items()}
    N, k = z.shape
    return form, parts, sum(parts.values(), z.new_zeros(k, k, N, N))
