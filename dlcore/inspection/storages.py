"""Which memory a piece of work holds at its peak, and for what, by following every storage that its operations make.

Works on real tensors, on any device, and on fake ones, which have sizes and no memory: what a step will take is
then known before it is made. What a kernel takes to work in and gives back within itself is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Parts = Mapping[str, Iterable[Tensor]]

ACTIVATIONS, OTHERS = "activations", "others"

RESULT = 7
"""Which argument of the backward pass of the CPU's kernel for LSTMs is what it gave, (time, batch, hidden)."""


class StorageWatch(TorchDispatchMode):
    """Follows storages made inside, and those it is told of.

    Args:
        known: tensors by what they are for, asked for anew at each peak, since gradients come and go.
        device: the kind that counts, such as ``cuda``.

    Attributes:
        peak: most bytes alive at once.
        parts: bytes of each part at the peak; what autograd keeps is ``activations``, what is left ``others``.
    """

    def __init__(self, known: Callable[[], Parts], device: str) -> None:
        super().__init__()
        self._known, self._device = known, device
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self._bytes = self.peak = 0
        self._saved: set[int] = set()
        self.parts: dict[str, int] = {}
        self._stack = ExitStack()

    def __enter__(self) -> StorageWatch:
        for tensors in self._known().values():
            for tensor in tensors:
                self._see(tensor)
        self._stack.enter_context(saved_tensors_hooks(self._save, lambda tensor: tensor))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._stack.close()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor):
                self._see(tensor)
        within = 0
        if func is torch.ops.aten.mkldnn_rnn_layer.default:
            self._see(output[3], recurrent_workspace(output[0]))
        elif func is torch.ops.aten.mkldnn_rnn_layer_backward.default:
            within = recurrent_backward(args[RESULT])
        if self._bytes + within > self.peak:
            self._forget_freed()
            if self._bytes + within > self.peak:
                self.peak, self.parts = self._bytes + within, self._split(within)
        return output

    def _see(self, tensor: Tensor, least: int = 0) -> None:
        """Count a storage from now on, as at least so many bytes."""
        if tensor.device.type != self._device or tensor.layout is not torch.strided:
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        size, found = max(least, int(storage.nbytes())), self._alive.get(key)
        if found is not None:
            if not found[0].expired() and found[1] >= size:
                return
            self._drop(key)  # it has grown, or is another one in the same place
        self._alive[key] = (StorageWeakRef(storage), size)
        self._bytes += size

    def _drop(self, key: int) -> None:
        self._bytes -= self._alive.pop(key)[1]
        self._saved.discard(key)

    def _forget_freed(self) -> None:
        for key in [key for key, (reference, _) in self._alive.items() if reference.expired()]:
            self._drop(key)

    def _save(self, tensor: Tensor) -> Tensor:
        self._see(tensor)
        self._saved.add(tensor.untyped_storage()._cdata)
        return tensor

    def _split(self, within: int) -> dict[str, int]:
        left = {key: size for key, (_, size) in self._alive.items()}
        parts = {}
        for name, tensors in self._known().items():
            parts[name] = sum(left.pop(key, 0) for key in {t.untyped_storage()._cdata for t in tensors})
        parts[ACTIVATIONS] = sum(left.pop(key) for key in self._saved & left.keys())
        return {**parts, OTHERS: sum(left.values()) + within}


def recurrent_workspace(outputs: Tensor) -> int:
    """Bytes that the CPU's kernel for LSTMs hands from its forward to its backward pass; a fake tensor has none.

    Four gates at each step, and eleven states at each step and the first. Found by looking: 0.3 % off at most.

    Args:
        outputs: (time, batch, hidden).
    """
    time, batch, hidden = outputs.shape
    return int(batch * hidden * (4 * time + 11 * (time + 1)) * outputs.element_size())


def recurrent_backward(outputs: Tensor) -> int:
    """Bytes that the same kernel works in while it goes backward: four gates at each step, twice.

    Args:
        outputs: (time, batch, hidden).
    """
    return 2 * 4 * outputs.nbytes
