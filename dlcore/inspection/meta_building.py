"""Building a model without memory for its weights: on the meta device, as far as its constructor allows that."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from dlcore.inspection import cuda_calls
from dlcore.inspection.cuda_calls import CudaCalls

LAYERS = str(Path(nn.__file__).parent)


def build_on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """The model with weights that take no memory; or with real ones, if its constructor reads its weights.

    Constructors that compute with small tensors of their own, such as rates of stochastic depth, keep these real.
    """
    for place in (torch.device("meta"), LayersOnMeta()):
        try:
            with place, CudaCalls():
                return build()
        except (NotImplementedError, RuntimeError, TypeError) as error:
            if "meta" not in str(error).lower():
                raise
    with CudaCalls() if cuda_calls.is_needed(meta=False) else nullcontext():
        return build()


class LayersOnMeta(TorchFunctionMode):
    """Makes only those tensors on the meta device that torch's own layers make: their weights."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _device_constructors() and kwargs.get("device") is None:
            caller = sys._getframe(1).f_code.co_filename
            if caller.startswith(LAYERS):
                kwargs["device"] = "meta"
        return func(*args, **kwargs)
