"""Several modules on the same inputs: at once by ``torch.func``, or one after another."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, vmap

from finitewidth.models.own_network import OwnNetwork
from finitewidth.models.own_networks import refused


@dataclass(frozen=True)
class Batched:
    """That modules of a network go through ``torch.func.vmap`` together."""


@contextmanager
def recording(own: OwnNetwork, model: nn.Module) -> Iterator[dict[str, list[Any]]]:
    """What the named submodules give while it is open, by name, each time that they are called."""
    found: dict[str, list[Any]] = {name: [] for name in own.layers}
    there, hooks = dict(model.named_modules()), []
    for name in own.layers:
        if name not in there:
            known = ", ".join(n for n in there if n)[:200] or "none"
            raise refused(own.name, f"which has no module {name!r}", f"one of its modules: {known}")

        def keep(module: nn.Module, given: Any, out: Any, name: str = name) -> None:
            # What comes after may overwrite it.
            found[name].append(out.clone() if isinstance(out, torch.Tensor) else out)

        hooks.append(there[name].register_forward_hook(keep))
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def layers_of(own: OwnNetwork, model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """What one module gives at each of its layers, (inputs, numbers)."""
    with recording(own, model) as found:
        model(x.clone())
    return _checked(own, found, len(x))


def _checked(own: OwnNetwork, found: dict[str, list[Any]], inputs: int) -> list[torch.Tensor]:
    layers = []
    for name, each in found.items():
        what = f"module {name!r}" if name else "the network itself"
        if len(each) != 1:
            given = f"whose {what} is called {len(each)} times in a forward pass"
            raise refused(own.name, given, "modules that are called once, to be recorded")
        out = each[0]
        if not isinstance(out, torch.Tensor) or not out.is_floating_point():
            given = f"whose {what} gives no tensor of real numbers"
            raise refused(own.name, given, "modules that give one, to be recorded")
        if not out.ndim or len(out) != inputs:
            given = f"whose {what} gives an array of shape {tuple(out.shape)} on {inputs} inputs"
            raise refused(own.name, given, "(inputs, ...)")
        layers.append(out.reshape(inputs, -1))
    return layers


def outputs_of(
    own: OwnNetwork, models: Sequence[nn.Module], x: torch.Tensor, batched: Batched | None
) -> list[torch.Tensor]:
    """What modules give at each of their layers, each (modules, inputs, numbers)."""
    if batched is None:
        each = [layers_of(own, model, x) for model in models]
        return [torch.stack(layer) for layer in zip(*each, strict=True)]
    # Not stack_module_state, which wants one class: a factory may define its own each time.
    parameters = _stacked([dict(model.named_parameters()) for model in models])
    buffers = _stacked([dict(model.named_buffers()) for model in models])

    def one(p: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        with recording(own, models[0]) as found:
            functional_call(models[0], (p, b), (x.clone(),))
        return tuple(_checked(own, found, len(x)))

    with warnings.catch_warnings():
        # Of operations that vmap takes one by one: that is no slower than modules one by one.
        warnings.filterwarnings("ignore", "There is a performance drop")
        return list(vmap(one, randomness="error")(parameters, buffers))


def _stacked(held: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.stack([one[name].detach() for one in held]) for name in held[0]}
