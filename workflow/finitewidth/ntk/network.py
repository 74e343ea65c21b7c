"""The tangent kernel of one network, any ``torch.nn.Module`` of anyone's, trained or not.

Theta_{ia,jb} = sum_mu lambda_mu dz_ia/dmu dz_jb/dmu over the parameters mu; the matrix over outputs
and inputs (sample form) has the eigenvalues, but for zeros, of the one over parameters (parameter
form): J J^T and J^T J of one Jacobian J.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from finitewidth.core.words import check_word, named
from finitewidth.models.parameterisation import LearningRates
from finitewidth.ntk.supported import check_model, roots_of
from finitewidth.ntk.trial import Trial

#: How it is computed: see :func:`tangent_kernel`.
WAYS = ("layerwise", "jacobian", "jvp", "backward")
FORMS = ("samples", "parameters", "smaller")


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


@named
def tangent_kernel(
    model: nn.Module,
    x: torch.Tensor,
    way: str | None = None,
    rates: LearningRates | None = None,
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
    rates : LearningRates, optional
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
    if way is not None:
        check_word("way", way, WAYS)
    check_word("form", form, FORMS)
    check_model(model, x)
    roots = roots_of(model, rates)
    with torch.inference_mode(False), torch.enable_grad():
        trial = Trial(model, x.detach().clone(), roots, form, check)
        try:
            return TangentKernel(*trial.kernel(way))
        finally:
            trial.saved.put_back()
