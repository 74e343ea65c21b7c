"""Modules of a person's own made, and the first of an ensemble held to what has to be so."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from finitewidth.core.errors import ConfigError
from finitewidth.core.random import stream_words
from finitewidth.core.torch_random import torch_stream
from finitewidth.models.own_network import OwnNetwork
from finitewidth.models.own_networks import refused
from finitewidth.ntk.supported import check_model, suspect
from finitewidth.sampling.own_batch import Batched, layers_of, outputs_of

#: How far two ways of computing the same outputs may be apart.
_CLOSE = {torch.float32: 1e-4, torch.float64: 1e-10}
#: How many networks say whether they can be run together.
_TRIED = 3


@dataclass
class Making:
    """The networks of an ensemble, by their numbers.

    Attributes
    ----------
    numbers : int
        Parameters and buffers of one network, once one was made.
    """

    own: OwnNetwork
    width: int
    seed: int
    name: tuple[str, ...]
    dtype: torch.dtype
    device: str
    numbers: int = field(default=0, init=False)

    def __call__(self, number: int) -> nn.Module:
        """Network ``number``: torch's generator begins at a state of its own, and is put back."""
        low, high = map(int, stream_words(self.seed, *self.name, "module", number, count=2))
        stream = torch_stream(self.seed, *self.name, "module", number)
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(stream.get_state())
            try:
                model = self.own.factory(self.width, low | (high & 0x7FFFFFFF) << 32)
            except Exception as error:
                raise self.failed("whose factory", error) from error
        if not isinstance(model, nn.Module):
            given = f"whose factory gives a {type(model).__name__}"
            raise refused(self.own.name, given, "a torch.nn.Module")
        return model.to(device=self.device, dtype=self.dtype)

    def failed(self, what: str, error: Exception) -> ConfigError:
        """The sentence on an exception in somebody's code."""
        given = f"{what} raises {type(error).__name__} at width {self.width}: {error}"
        return refused(self.own.name, given, "one that can be run")


def check_first(making: Making, x: torch.Tensor) -> Batched | None:
    """Raise ``ConfigError`` where the first networks are not what they have to be; else whether
    they can be run together.

    They have to be a function of the seed, and different ones; outputs one of the parameters and
    of one input each. The same networks decide in every shard.
    """
    own, first = making.own, _made(making, 0, x)
    if (found := suspect(first)) is not None:
        given = f"whose {found} outputs are no function of one input"
        raise refused(own.name, given, "a factory that returns model.eval()")
    if not _alike(first, making(0)):
        given = "whose factory gives two networks for one seed"
        raise refused(own.name, given, "parameters drawn by torch's generator or from the seed")
    models = [first, *(making(k) for k in range(1, _TRIED))]
    if any(_alike(first, model) for model in models[1:]):
        given = "whose factory gives one network for different seeds"
        raise refused(own.name, given, "parameters drawn by torch's generator or from the seed")
    with torch.no_grad():
        try:
            layers = layers_of(own, first, x)
            again, alone = layers_of(own, first, x), [layers_of(own, first, i[None]) for i in x]
        except ConfigError:
            raise
        except Exception as error:
            raise making.failed("whose forward pass", error) from error
    for name, z, size in zip(own.layers, layers, own.sizes(making.width), strict=True):
        if z.shape[1] != size:
            what = f"module {name!r}" if name else "the network itself"
            given = f"whose {what} gives {z.shape[1]} numbers an input at width {making.width}"
            raise refused(own.name, given, f"the {size} that it declares")
    each = [torch.cat(parts) for parts in zip(*alone, strict=True)]
    if not all(map(_close, layers, again)):
        given = "whose outputs differ from call to call"
        raise refused(own.name, given, "outputs without chance and without a memory of calls")
    if not all(map(_close, layers, each)):
        given = "whose outputs for one input depend on the others"
        raise refused(own.name, given, "a function of one input each (model.eval() of batch norms)")
    return _together(own, models, x)


def _made(making: Making, number: int, x: torch.Tensor) -> nn.Module:
    model = making(number)
    try:
        check_model(model, x)
    except ValueError as error:
        allowed = "a module whose parameters are numbers that one can differentiate by"
        raise refused(making.own.name, f"of which {error}", allowed) from None
    making.numbers = sum(t.numel() for t in (*model.parameters(), *model.buffers()))
    return model


def _alike(one: nn.Module, two: nn.Module) -> bool:
    """Whether two modules hold the same numbers."""
    a, b = one.state_dict(), two.state_dict()
    same = a.keys() == b.keys()
    return same and all(torch.equal(t, b[k]) for k, t in a.items() if isinstance(t, torch.Tensor))


def _close(a: torch.Tensor, b: torch.Tensor) -> bool:
    tolerance = _CLOSE[a.dtype] if a.dtype in _CLOSE else _CLOSE[torch.float32]
    scale = float(a.abs().nan_to_num(0.0, 0.0, 0.0).max()) if a.numel() else 0.0
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def _together(own: OwnNetwork, models: list[nn.Module], x: torch.Tensor) -> Batched | None:
    """Whether ``torch.func`` runs these modules as they run by themselves."""
    with torch.no_grad():
        apart = outputs_of(own, models, x, None)
        try:
            found = outputs_of(own, models, x, Batched())
        except Exception:
            # Whatever a module does that vmap does not take: one after another then.
            return None
    return Batched() if all(map(_close, apart, found)) else None
