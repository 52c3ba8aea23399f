"""What a training step holds in memory at its peak, as text: the same words wherever it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui import words
from tui.plain_data import integer

NAME = "step memory"
"""What it is called, before a step is made and after."""

PARTS = ("weights", "gradients", "optimizer", "activations", "data", "others")
"""In the order in which they are told."""

CACHED = "cached"
"""Held by a GPU's allocator for the next step, beyond the peak."""

ONLY_A_RUN_CAN_TELL = "only a run can tell: what a step does depends on numbers, or weights are not here yet"


def parts_of(memory: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of each part that there is anything of; they add up to the peak."""
    found = {name: integer(memory, name) for name in PARTS}
    return {name: size for name, size in found.items() if size is not None and size > 0}


def expected(memory: Mapping[str, Any] | None, device: str = "", optimizer: str = "") -> str:
    """``about 12.3 MiB: weights 1.6 MiB + gradients 1.6 MiB …; 5.1 GiB free``, before a step is made."""
    if memory is None:
        return ONLY_A_RUN_CAN_TELL
    free = integer(memory, "free")
    more = "" if free is None else f"; {free_on(device, free)}"
    chosen = f" with {optimizer}" if optimizer else ""
    return f"about {words.size(integer(memory, 'peak'))}{chosen}: {_told(memory)}{more}"


def measured(memory: Mapping[str, Any]) -> str:
    """``12.1 MiB: weights 1.6 MiB + gradients 1.6 MiB …``, of a step that was made."""
    cached = integer(memory, CACHED)
    more = f"; {words.size(cached)} more {CACHED}" if cached else ""
    return f"{words.size(integer(memory, 'peak'))}: {_told(memory)}{more}"


def free_on(device: str, free: int) -> str:
    """``5.1 GiB free``, and on which device where that is not the processor."""
    return f"{words.size(free)} free" + (f" on {device}" if device != "cpu" else "")


def _told(memory: Mapping[str, Any]) -> str:
    return " + ".join(f"{name} {words.size(size)}" for name, size in parts_of(memory).items())
