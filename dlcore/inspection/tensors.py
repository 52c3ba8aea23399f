"""What there is to say about one tensor: its statistics, its histogram, and a piece small enough to keep.

Invariant: the tensor is left as it is, and everything returned is finite plain data or lies on the host.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Statistics = dict[str, Any]

BINS = 24
MOST_BINNED = 1 << 14
"""Values that a histogram looks at: some 700 a bar, which is then off by 4 %."""


def statistics(tensor: Tensor) -> Statistics:
    """Mean, deviation, extremes, length, share of zeros, count of non-finite values, and a histogram.

    Everything but the count is of the finite values only; all 0 where there is none. Two waits for the device.

    Returns:
        ``mean, std, min, max, norm, zeros, nonfinite`` and ``histogram``: `BINS` counts between the extremes.
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
        names = ("mean", "std", "min", "max", "norm", "zeros")
        return dict.fromkeys(names, 0.0) | {"nonfinite": nonfinite, "histogram": [0] * BINS}
    mean, off, low, high, nonzero = facts
    count = values.numel()
    return {
        "mean": mean,
        "std": off / math.sqrt(count),
        "min": low,
        "max": high,
        "norm": math.hypot(off, math.sqrt(count) * mean),  # Σx² = Σ(x - mean)² + count · mean²
        "zeros": 1.0 - nonzero / count,
        "nonfinite": nonfinite,
        "histogram": histogram(values, low, high),
    }


def _facts(values: Tensor) -> list[float]:
    """Mean, length of what is off the mean, extremes, count of what is not 0.

    Five vectorised passes: torch's own deviation and its count of non-zeros take values one by one on a CPU, and
    20 to 70 times as long.
    """
    mean = values.mean()
    scratch = values - mean
    off = torch.linalg.vector_norm(scratch)
    low, high = values.aminmax()
    nonzero = torch.sign(values, out=scratch).abs_().sum()
    facts: list[float] = torch.stack([mean, off, low, high, nonzero]).tolist()
    return facts


def histogram(values: Tensor, low: float, high: float) -> list[int]:
    """`BINS` counts of flat finite values between their extremes, of an even choice of at most `MOST_BINNED`."""
    values = values[:: -(-values.numel() // MOST_BINNED)]
    if low >= high:
        return [0] * (BINS // 2) + [values.numel()] + [0] * (BINS - BINS // 2 - 1)
    counts: list[float] = torch.histc(values.float(), BINS, low, high).tolist()
    return [int(count) for count in counts]


def deviation_between(tensor: Tensor) -> float:
    """Root mean square of what each sample's values are off the mean of all samples, (samples, ...)."""
    rows = tensor.detach().flatten(1).float()
    return float(torch.linalg.vector_norm(rows - rows.mean(0))) / math.sqrt(max(1, rows.numel()))


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
