"""Every registered model through every format that holds layers: which answer alike after it, and which cannot.

A new architecture is tested by being registered. What cannot be exported stands in `CANNOT` with the reason, and a
test fails when that is no longer so. ``python -m tests.core.deploy.test_round_trips`` prints the table.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dlcore.data.spec import DataSpec
from dlcore.deploy.export import TOLERANCE
from dlcore.deploy.exporting import FORMATS, Options, Subject, flat, format_of
from dlcore.registry import MODELS, TASKS
from tests.core.models.test_every_model import SHAPES, make_batch, make_spec, targets_for

PROGRAMS = [name for name in FORMATS.names() if format_of(name).architecture]

CANNOT: dict[tuple[str, str], str] = {}
"""(model, format) -> why the file cannot be written or answers otherwise."""

SERIES = {"kind": "series", "season": 0, "horizon": 1, "log": False, "mean": [0.5] * 5, "std": [2.0] * 5}
GAME = {"kind": "environment", "environment": "CartPole-v1"}


def subjects() -> Iterator[tuple[str, DataSpec, str]]:
    """Every model with each kind of input, and the task where it is not the usual one."""
    for entry in MODELS.entries():
        for kind in entry.inputs or SHAPES:
            target = targets_for(entry, kind)[0]
            facts = GAME if target == "reward" else {}
            yield entry.name, replace(make_spec(kind, target), preprocessing=facts), ""
            if kind == "sequence":
                yield entry.name, replace(make_spec(kind, "number"), preprocessing=SERIES), "forecasting"


CASES = [
    pytest.param(name, spec, task, to, id=f"{name}-{spec.input}{f'-{task}' * bool(task)}-{to}")
    for name, spec, task in subjects()
    for to in PROGRAMS
]


def subject_of(name: str, spec: DataSpec, task_name: str) -> Subject:
    """The model with its task, untrained, and a batch for it."""
    torch.manual_seed(0)
    entry = MODELS.entry(name)
    model = entry.build(spec)
    tasks = [each.name for each in TASKS.entries() if spec.target in each.targets]
    task = TASKS.build(task_name or str(entry.tags.get("task") or tasks[0]), model, spec)
    network, inputs = task.exported(make_batch(spec))
    return Subject(network.eval(), inputs, {}, Path(), "best")


def difference(name: str, spec: DataSpec, task: str, to: str, folder: Path) -> float:
    """The largest, as a share of what is allowed; a batch of any size is asked with all samples and with one."""
    subject = subject_of(name, spec, task)
    form = format_of(to)
    path = folder / f"file{form.suffix}"
    form.write(subject, path, Options(dynamic=True))
    worst = 0.0
    for count in (1, len(subject.inputs[0])):
        inputs = tuple(tensor[:count] for tensor in subject.inputs)
        with torch.no_grad():
            wanted = flat(subject.network(*inputs))
        answers = form.ask(path, [tensor.numpy() for tensor in inputs], {})
        for ours, theirs in zip(wanted, answers, strict=True):
            allowed = TOLERANCE * max(1.0, float(ours.abs().max()))
            gap = (ours.double() - torch.from_numpy(theirs).double().view_as(ours)).abs().max()
            worst = max(worst, float(gap) / allowed)
    return worst


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spec", "task", "to"), CASES)
def test_every_model_answers_alike_after_every_format(
    name: str, spec: DataSpec, task: str, to: str, tmp_path: Path
) -> None:
    if (name, to) in CANNOT:
        with pytest.raises(Exception):  # noqa: B017  (exporters raise anything)
            assert difference(name, spec, task, to, tmp_path) <= 1
    else:
        assert difference(name, spec, task, to, tmp_path) <= 1


def main() -> int:
    """The table: a tick, or in a few words why not."""
    print(f"| model, input | {' | '.join(PROGRAMS)} |")
    print("|" + " --- |" * (len(PROGRAMS) + 1))
    for name, spec, task in subjects():
        cells = []
        for to in PROGRAMS:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    share = difference(name, spec, task, to, Path(folder))
                    cells.append("✓" if share <= 1 else f"differs {share:.3g} times what is allowed")
                except Exception as error:
                    cells.append(f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")
        print(f"| {name}, {task or spec.input} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
