"""Random streams that depend on names only: the same parts always give the same stream.

Every random choice about data draws from a stream named by (seed, epoch, purpose), never from the global
generators, so a resumed run sees what the uninterrupted one would have seen.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derived_seed(*parts: int | str) -> int:
    """A seed in [0, 2**63) for the stream named by ``parts``; neighbouring parts give unrelated streams."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def torch_generator(*parts: int | str) -> torch.Generator:
    """A CPU generator at the start of the stream named by ``parts``."""
    import torch

    return torch.Generator().manual_seed(derived_seed(*parts))
