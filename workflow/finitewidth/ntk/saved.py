"""A model, and the sources of chance, put back as they were whatever a call does to them."""

from __future__ import annotations

import random
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

_LISTS, _DICTS = (list, deque), (dict, OrderedDict, defaultdict)
Put = Callable[[], object]


class Saved:
    """What the modules of a model hold now, and the state of the generators of random numbers.

    Attributes of modules, the containers, tensors and generators among them, and what these
    containers hold. What a model keeps elsewhere, such as a list that a hook appends to, is not
    seen.
    """

    def __init__(self, model: nn.Module, device: torch.device):
        self._devices = {t.device for t in (*model.parameters(), *model.buffers())} | {device}
        self._chance = self.chance()
        self._put: list[Put] = []
        seen: set[int] = set()
        for module in model.modules():
            if not isinstance(module, torch.jit.ScriptModule):
                self._save(vars(module), seen)

    def chance(self) -> list:
        """The states of the generators of torch, numpy and Python."""
        cuda = [torch.cuda.get_rng_state(d) for d in self._devices if d.type == "cuda"]
        state = np.random.get_state()
        # The stubs do not tell this from the dict that another argument asks for.
        assert isinstance(state, tuple)
        kind, keys, *rest = state
        return [torch.get_rng_state(), *cuda, (kind, keys.tobytes(), *rest), random.getstate()]

    def random_numbers_were_drawn(self) -> bool:
        """Whether a generator has moved since."""
        pairs = zip(self._chance, self.chance(), strict=True)
        return any(
            not torch.equal(a, b) if isinstance(a, torch.Tensor) else a != b for a, b in pairs
        )

    def put_back(self) -> None:
        """Undo what happened since."""
        first, *cuda, (kind, keys, *rest), python = self._chance
        torch.set_rng_state(first)
        for device, state in zip((d for d in self._devices if d.type == "cuda"), cuda, strict=True):
            torch.cuda.set_rng_state(state, device)
        np.random.set_state((kind, np.frombuffer(keys, dtype=np.uint32), *rest))
        random.setstate(python)
        for put in self._put:
            put()

    def _save(self, value: object, seen: set[int]) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        inside: list = []
        if isinstance(value, _DICTS) and type(value) in _DICTS:
            self._put.append(_dict_back(value))
            inside = list(value.values())
        elif isinstance(value, _LISTS) and type(value) in _LISTS:
            self._put.append(_list_back(value))
            inside = list(value)
        elif type(value) is tuple:
            inside = list(value)
        elif type(value) is set:
            self._put.append(_set_back(value))
        elif isinstance(value, torch.Tensor):
            if value.layout == torch.strided and value.device.type != "meta":
                self._put.append(_tensor_back(value))
        elif isinstance(value, torch.Generator):
            state = value.get_state()
            self._put.append(lambda: value.set_state(state))
        elif isinstance(value, np.random.Generator):
            now = value.bit_generator.state
            self._put.append(lambda: setattr(value.bit_generator, "state", now))
        elif isinstance(value, random.Random):
            held = value.getstate()
            self._put.append(lambda: value.setstate(held))
        for one in inside:
            self._save(one, seen)


def _dict_back(value: dict) -> Put:
    copy = dict(value)

    def put() -> None:
        if list(value) != list(copy) or any(value[key] is not copy[key] for key in copy):
            value.clear()
            value.update(copy)

    return put


def _list_back(value: list | deque) -> Put:
    copy = list(value)

    def put() -> None:
        if len(value) != len(copy) or any(a is not b for a, b in zip(value, copy, strict=True)):
            value.clear()
            value.extend(copy)

    return put


def _set_back(value: set) -> Put:
    copy = set(value)

    def put() -> None:
        if value != copy:
            value.clear()
            value.update(copy)

    return put


def _tensor_back(value: torch.Tensor) -> Put:
    copy = value.detach().clone()

    def put() -> None:
        with torch.no_grad(), torch.inference_mode(value.is_inference()):
            same = value.shape == copy.shape and bool(
                ((value == copy) | ((value != value) & (copy != copy))).all()
            )
            if not same:
                value.detach().copy_(copy)

    return put
