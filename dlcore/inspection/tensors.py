"""What there is to say about one tensor: its statistics, its histogram, and a piece small enough to keep.

Invariant: the tensor is left as it is, and everything returned is finite plain data or lies on the host.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Statistics = dict[str, Any]

BINS = 24
MOST_BINNED = 1 << 16
"""Values that a histogram looks at: more change no bar by a visible amount."""


def statistics(tensor: Tensor) -> Statistics:
    """Mean, deviation, extremes, share of zeros, count of non-finite values, and a histogram.

    Everything but the count is of the finite values only; all 0 where there is none. Two waits for the device.

    Returns:
        ``mean, std, min, max, zeros, nonfinite`` and ``histogram``: `BINS` counts between the extremes.
    """
    values = tensor.detach().flatten()
    values = values.float() if values.dtype != torch.float64 else values
    nonfinite = 0
    facts = _facts(values) if values.numel() else []
    if not np.isfinite(facts).all():
        finite = values[values.isfinite()].double()  # double: a float's square may be beyond a float
        nonfinite = values.numel() - finite.numel()
        values = finite
        facts = _facts(values) if values.numel() else []
    if not facts:
        names = ("mean", "std", "min", "max", "zeros")
        return dict.fromkeys(names, 0.0) | {"nonfinite": nonfinite, "histogram": [0] * BINS}
    mean, std, low, high, nonzero = facts
    return {
        "mean": mean,
        "std": std,
        "min": low,
        "max": high,
        "zeros": 1.0 - nonzero / values.numel(),
        "nonfinite": nonfinite,
        "histogram": histogram(values, low, high),
    }


def _facts(values: Tensor) -> list[float]:
    std, mean = torch.std_mean(values, correction=0)
    low, high = values.aminmax()
    facts: list[float] = torch.stack([mean, std, low, high, values.count_nonzero().to(mean.dtype)]).tolist()
    return facts


def histogram(values: Tensor, low: float, high: float) -> list[int]:
    """`BINS` counts of flat finite values between their extremes, of an even choice of at most `MOST_BINNED`."""
    values = values[:: -(-values.numel() // MOST_BINNED)]
    if low >= high:
        return [0] * (BINS // 2) + [values.numel()] + [0] * (BINS - BINS // 2 - 1)
    counts: list[float] = torch.histc(values.float(), BINS, low, high).tolist()
    return [int(count) for count in counts]


def norm(tensor: Tensor) -> float:
    """Root of the sum of squares, 0 where it is not finite."""
    value = float(tensor.detach().float().norm())
    return value if np.isfinite(value) else 0.0


def piece(tensor: Tensor, most: int, rows: Tensor | None = None) -> NDArray[np.float32]:
    """A corner of a tensor with at most ``most`` numbers, as float32 on the host.

    Trailing axes stay whole as long as that is possible: the first filters, not the corners of all.

    Args:
        rows: positions along the first axis to choose; all of them when left out.
    """
    kept = tensor.detach()
    if rows is not None and kept.dim():
        kept = kept.index_select(0, rows)
    for axis in range(kept.dim()):
        rest = kept[(0,) * (axis + 1)].numel() if 0 not in kept.shape else 1
        before = int(np.prod(kept.shape[:axis]))
        kept = kept.narrow(
            axis, 0, max(min(1, kept.shape[axis]), min(kept.shape[axis], most // (before * rest)))
        )
    return np.ascontiguousarray(kept.float().cpu().numpy())
