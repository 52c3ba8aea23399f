"""What a step of Muon costs, equal shapes turned together and one matrix at a time, and how many operations it is.

``python -m tests.benchmarks.muon_step``. One thread and processor time, which leaves a neighbour's work out. On a GPU
an operation is a launch or several, so there the count says more than a CPU's time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from dlcore.assembly import rebuild
from dlcore.data.spec import DataSpec
from dlcore.preset import load
from dlcore.training import muon, optimizers
from tests.benchmarks import measure

WAYS = {"one at a time": 1, "as on a CPU": muon.TOGETHER["cpu"], "as on a GPU": muon.TOGETHER["other"]}
VIEWS = ("view", "transpose", "aten.t.", "alias", "detach", "unbind", "select", "reshape", "slice")


def main() -> None:
    """Print the table."""
    chosen = measure.parse(measure.parser(__doc__, rounds=20))
    torch.set_num_threads(1)
    works = {"cifar10-fast": photos(), "transformer, 6 layers of 64": transformer()}
    rows = []
    for name, step in works.items():
        contenders = {way: lambda step=step, way=way: timed(step, WAYS[way]) for way in WAYS}
        figures = measure.interleave(contenders, 1 if chosen.quick else chosen.rounds)
        for way, most in WAYS.items():
            ratios = measure.ratio(figures[way], figures["one at a time"])
            row = [
                name,
                way,
                str(operations(step, most)),
                measure.spread(figures[way]),
                measure.spread(ratios),
            ]
            rows.append(row)
    header = ["network", "matrices", "operations", "ms a step", "of one at a time"]
    measure.table("A step of Muon (medians [quartiles])", header, rows)


def photos() -> Callable[[], Any]:
    """The preset's network and options: six banks of filters, three of one shape, and SGD's rule for the rest."""
    preset = load("cifar10-fast", builders=True)
    task = rebuild(preset, DataSpec("image", (3, 32, 32), "class", 10))
    return step_of(task.model, **preset.optimizer.options)


def transformer() -> Callable[[], Any]:
    """Many small matrices of four shapes, and Adam's rule for the rest."""
    layers = [nn.TransformerEncoderLayer(64, 4, 256, batch_first=True) for _ in range(6)]
    return step_of(nn.Sequential(nn.Embedding(65, 64), *layers, nn.Linear(64, 65)))


def step_of(model: nn.Module, **options: Any) -> Callable[[], Any]:
    """A step on gradients that are there."""
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return optimizers.muon([model], **options).step


def timed(step: Callable[[], Any], most: int, watched: Any = None) -> float:
    """Milliseconds of processor time of a step that turns matrices of at most so many numbers together."""
    with patch.dict(muon.TOGETHER, cpu=most), watched or nullcontext():
        start = time.thread_time()
        step()
        return (time.thread_time() - start) * 1e3


def operations(step: Callable[[], Any], most: int) -> int:
    """How many a step is; what only looks at the same numbers in another way is not counted."""
    counter = Counter()
    timed(step, most, counter)
    return counter.count


class Counter(TorchDispatchMode):
    """Counts what is computed inside."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not any(name in str(func) for name in VIEWS)
        return func(*args, **(kwargs or {}))


if __name__ == "__main__":
    main()
