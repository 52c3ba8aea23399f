"""torch.compile with a way back: a network that cannot be compiled trains as it is, and the user is told."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from dlcore.text_safety import safe_text


class Compiled:
    """Calls a compiled network, and the network itself from the first failure to compile on.

    Attributes:
        failure: why it is not compiled, in a line; "" while it is.
    """

    def __init__(self, model: nn.Module, mode: str) -> None:
        self._plain = model._call_impl
        self._call = torch.compile(self._plain, mode=mode)
        self.mode, self.failure = mode, ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the network."""
        from torch._dynamo.exc import TorchDynamoException  # has been imported by compiling

        try:
            return self._call(*args, **kwargs)
        except TorchDynamoException as error:
            self.failure = safe_text(f"{type(error).__name__}: {error}".splitlines()[0], limit=200)
        self._call = self._plain
        return self._call(*args, **kwargs)


def compile_network(model: nn.Module, mode: str) -> None:
    """Every later call of the network is compiled, at the first one of each shape.

    Args:
        mode: torch's: ``default``, ``reduce-overhead`` or ``max-autotune``.
    """
    model._compiled_call_impl = Compiled(model, mode)


def why_not_compiled(model: nn.Module) -> str:
    """Why a network that should be compiled is not; "" otherwise."""
    found = (getattr(module, "_compiled_call_impl", None) for module in model.modules())
    return next((each.failure for each in found if isinstance(each, Compiled) and each.failure), "")
