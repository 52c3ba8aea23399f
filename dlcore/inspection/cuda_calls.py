"""Code that puts things on a GPU by name: followed where there is no GPU, and on meta tensors, which are nowhere.

``x.cuda()`` and ``device="cuda"`` are in much code that is around; its shapes are the same wherever it runs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

MOVES = frozenset({"cuda", "to"})


class CudaCalls(TorchFunctionMode):
    """Leaves a wish for a CUDA device out of every torch function.

    Args:
        device: where tensors are made that were to be made there; "" for wherever tensors are made.

    Attributes:
        seen: whether there was such a wish.
    """

    def __init__(self, device: str = "") -> None:
        super().__init__()
        self.device = device
        self.seen = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in MOVES and args and isinstance(args[0], Tensor):
            return self._moved(func, name, args, kwargs)
        if is_cuda(kwargs.get("device")):
            self.seen = True
            del kwargs["device"]
            if self.device:
                kwargs["device"] = self.device
        return func(*args, **kwargs)

    def _moved(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        tensor, *rest = args
        wishes = [*rest, kwargs.get("device")]
        if name == "cuda" or any(map(is_cuda, wishes)):
            self.seen = True
            rest = [] if name == "cuda" else [each for each in rest if not is_cuda(each)]
            kwargs = {
                key: value for key, value in kwargs.items() if key in ("dtype", "copy", "memory_format")
            }
            rest = [each for each in rest if not isinstance(each, bool)]  # non_blocking
            return tensor.to(*rest, **kwargs) if rest or kwargs else tensor
        return func(*args, **kwargs)


def is_cuda(value: Any) -> bool:
    """Whether it names a CUDA device: ``cuda``, ``cuda:1``, the device itself, or its number."""
    if isinstance(value, torch.device):
        return value.type == "cuda"
    return isinstance(value, str) and value.partition(":")[0] == "cuda"


def is_needed(*, meta: bool) -> bool:
    """Whether such wishes have to be left out: there is no such device, or tensors hold no numbers."""
    return meta or not torch.cuda.is_available()
