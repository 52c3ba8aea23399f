"""An end to a network's work that nobody waits for any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.nn.modules.module import register_module_forward_pre_hook


class BreakOff:
    """Inside, no layer begins once something else waits: what called it fails.

    Between layers, not between operations: an exception within one ends the process, in places in torch. A backward
    pass is made to its end.

    Attributes:
        done: whether it came to that.
    """

    def __init__(self, waits: Callable[[], bool]) -> None:
        self._waits, self.done = waits, False

    def __enter__(self) -> None:
        self._hook = register_module_forward_pre_hook(self._look)

    def __exit__(self, *error: Any) -> None:
        self._hook.remove()

    def _look(self, module: Any, inputs: Any) -> None:
        if self._waits():
            self.done = True
            raise InterruptedError("something else waits")
