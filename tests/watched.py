"""What a computation would do on a GPU, seen without one.

On torch's ``meta`` device tensors have shapes and no numbers. Code that takes a device can run
there as on a GPU: it fails where it looks at a number, which a GPU would have to be waited for, and
here it also fails where tensors of two devices meet. What it has in memory at once is counted.
"""

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

#: Operations that take tensors of the processor to the device, or an index of places from there.
ACROSS = {"aten::copy_", "aten::_to_copy", "aten::index"}


class Watched(TorchDispatchMode):
    """Fails where tensors of two devices meet; ``peak`` is the most bytes on ``meta`` at once."""

    def __init__(self):
        super().__init__()
        self.peak = 0
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [v for v in tree_leaves((args, kwargs, out)) if isinstance(v, torch.Tensor)]
        # A single number may come from the processor.
        devices = {v.device.type for v in tensors if v.dim() or v.device.type != "cpu"}
        assert len(devices) <= 1 or func._schema.name in ACROSS, (func, devices)
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if tensor.device.type == "meta":
                self._live[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self._live = {k: v for k, v in self._live.items() if not v[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._live.values()))
        return out
