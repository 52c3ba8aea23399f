"""What a training step holds in memory, part by part, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui import words
from tui.plain_data import integer

PARTS = ("weights", "gradients", "optimizer", "activations", "working", "data", "others", "cached")
"""In the order in which they are told; what an estimate or a measurement does not know is left out."""


def parts_of(memory: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of each part that there is anything of."""
    found = {name: integer(memory, name) for name in PARTS}
    return {name: size for name, size in found.items() if size is not None and size > 0}


def told(memory: Mapping[str, Any]) -> str:
    """``weights 1.2 MiB + gradients 1.2 MiB``."""
    return " + ".join(f"{name} {words.size(size)}" for name, size in parts_of(memory).items())
