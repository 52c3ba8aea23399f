"""Are the same samples in the training part and in those that are to judge it?"""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from dlcore.data.spec import Data, Part, TensorPart

MOST_BYTES = 1 << 30
MOST_FILES = 1_500
"""Samples of a part that is read from files."""


def duplicates(data: Data) -> dict[str, Any]:
    """Rows that are the same number by number.

    Returns:
        Per part (``val``, ``test``): ``rows`` looked at, how many are ``in_train``, and the ``first`` pair of
        positions; ``within_train``: share of the training rows that another training row equals; empty where
        a part is too large to be read.
    """
    train = _digests(data.train)
    if train is None:
        return {}
    at = {digest: index for index, digest in enumerate(train)}
    found: dict[str, Any] = {"train": len(train), "within_train": 1 - len(at) / len(train) if train else 0.0}
    for name, part in (("val", data.val), ("test", data.test)):
        digests = _digests(part) if part is not None and len(part) else None
        if digests:
            met = [(index, at[digest]) for index, digest in enumerate(digests) if digest in at]
            found[name] = {"rows": len(digests), "in_train": len(met), "first": list(met[0]) if met else []}
    return found


def _digests(part: Part) -> list[bytes] | None:
    """One digest a sample's inputs, of the stored form; None where that is too much to read."""
    if isinstance(part, TensorPart):
        if part.inputs.nbytes > MOST_BYTES:
            return None
        rows = (
            part.inputs.detach().cpu().contiguous().flatten(1)
            if part.inputs.dim() > 1
            else part.inputs[:, None]
        )
        data = (
            rows.view(torch.uint8).numpy()
            if rows.is_floating_point() or rows.element_size() > 1
            else rows.numpy()
        )
        return [hashlib.blake2b(row.tobytes(), digest_size=12).digest() for row in data]
    if len(part) > MOST_FILES:
        return None
    inputs = (torch.as_tensor(part.dataset[(0, index)][0]) for index in range(len(part)))
    return [hashlib.blake2b(each.contiguous().numpy().tobytes(), digest_size=12).digest() for each in inputs]
