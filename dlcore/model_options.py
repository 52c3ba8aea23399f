"""What [model] of a preset may say of every model, besides the builder's own options.

Where its weights come from, and what of it learns when and how fast. The builder never sees these: whoever puts
a run together acts on them, so they work for every architecture, the user's own too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from dlcore.fields import CountOrZero, Positive

SUFFIXES = (".safetensors", ".pth", ".pt", ".th", ".ckpt", ".bin")
LOADED = "loaded"


def _weights(value: str) -> str:
    known = value in ("", "imagenet") or (value.startswith("run:") and len(value) > 4)
    if not known and not value.lower().endswith(SUFFIXES):
        raise ValueError(f"must be imagenet, run:NAME or a file that ends in {', '.join(SUFFIXES)}")
    return value


@dataclass(frozen=True, kw_only=True)
class StartingPoint:
    """Where a model starts from and what of it learns.

    Attributes:
        weights: imagenet, run:NAME (a run, or the newest run of a preset) or a .safetensors or .pth file.
        reset: layers that start new although the weights have them, such as ["head"].
        freeze: layers that do not learn, such as ["conv1", "layer1"]; "loaded" is all that weights were loaded into.
        freeze_epochs: epochs that these stay frozen for; 0 for the whole training.
        rates: layers that learn at a share of optimizer.lr, such as { loaded = 0.1 }.
    """

    weights: Annotated[str, AfterValidator(_weights)] = ""
    reset: tuple[str, ...] = ()
    freeze: tuple[str, ...] = ()
    freeze_epochs: CountOrZero = 0
    rates: dict[str, Positive] | None = None
