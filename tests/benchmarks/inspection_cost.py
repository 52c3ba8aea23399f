"""What looking inside costs: seconds of a whole training with looks as they come by default, and with none.

``python -m tests.benchmarks.inspection_cost``. One thread and processor time, which leaves a neighbour's work
out. Both train the same epochs in turns; the first look, the last and that of the best weights are counted, since
every run has them.
"""

from __future__ import annotations

import statistics
import time

import torch

from tests.benchmarks import measure
from tests.benchmarks.workloads import CNN, MLP, open_run

SETTINGS = {"off": 0.0, "default": 0.01}
SECONDS = 8.0


def main() -> None:
    """Print the table."""
    chosen = measure.parse(measure.parser(__doc__, rounds=5))
    works = {
        "MLP 784-256-10, batch 128": (MLP.format(data="made_up.py:images"), 38_400),
        "CNN 24-32 5×5 3×3, batch 256": (CNN.format(data="made_up.py:images"), 5_120),
    }
    rows = []
    for name, (preset, samples) in works.items():
        rows += compare(
            name, preset, samples, 1 if chosen.quick else chosen.rounds, 1.0 if chosen.quick else SECONDS
        )
    header = ["work", "looks", "a look, ms", "seconds", "of the time without", "spent on looks", "≤ 1.01"]
    measure.table("Looking inside (medians [quartiles])", header, rows)


def compare(work: str, preset: str, samples: int, rounds: int, seconds: float) -> list[list[str]]:
    """One row a setting; whole trainings take turns."""
    torch.set_num_threads(1)
    with measure.scratch() as runs:
        sized = f"data.samples={samples}"
        epochs = _epochs_for(runs, preset, sized, seconds)
        looks: dict[str, list[float]] = {name: [] for name in SETTINGS}
        spent: dict[str, list[float]] = {name: [] for name in SETTINGS}

        def train(name: str) -> float:
            worker = open_run(
                runs, preset, sized, f"inspection.share={SETTINGS[name]}", f"training.epochs={epochs}"
            )
            torch.set_num_threads(1)
            began = time.thread_time()
            worker.trainer.fit()
            best = worker.folder.best()
            assert best is not None
            worker.onlooker.look_at_best(worker.trainer, best)
            took = time.thread_time() - began
            looks[name].append(len(list(worker.run.inspections_path.glob("*.json"))))
            spent[name].append(worker.trainer.looks.spent / worker.trainer.seconds)
            worker.close()
            return took

        figures = measure.interleave({name: lambda name=name: train(name) for name in SETTINGS}, rounds)
    rows = []
    for name in SETTINGS:
        ratios = measure.ratio(figures[name], figures["off"])
        number = statistics.median(looks[name])
        a_look = (
            1e3 * statistics.median(spent[name]) * statistics.median(figures[name]) / number
            if number
            else 0.0
        )
        met = measure.verdict(statistics.median(ratios), 1.01)
        rows.append(
            [
                work,
                f"{name}: {number:.0f}",
                f"{a_look:.1f}",
                measure.spread(figures[name], 2),
                measure.spread(ratios, 4),
                f"{statistics.median(spent[name]):.2%}",
                met,
            ]
        )
    return rows


def _epochs_for(runs: object, preset: str, sized: str, seconds: float) -> int:
    """Epochs that take about so long."""
    worker = open_run(runs, preset, sized, "inspection.share=0", "training.epochs=2")  # type: ignore[arg-type]
    torch.set_num_threads(1)
    began = time.thread_time()
    worker.trainer.fit()
    took = (time.thread_time() - began) / 2
    worker.close()
    return max(2, round(seconds / took))


if __name__ == "__main__":
    main()
