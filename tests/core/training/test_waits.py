"""Between two records nothing waits for the device: every task, from its batches to the changed weights.

The CPU shows it as well as a GPU: what would wait there asks for the numbers of a tensor, or for how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from dlcore import preset as presets
from dlcore.bench.bench import Bench
from dlcore.bench.loops import Timed
from dlcore.opening import Opened
from dlcore.training.capture.stepper import FIRST, WATCHED, CapturedStepper
from dlcore.training.capture.tape import Tape
from tests.core.training.replaying import replaying

QUIET = ("training.device=cpu", "training.record_seconds=1000", "inspection.share=0")
STEPS = 3

TASKS = {
    "mlp": ("digits-mlp",),
    "cnn, augmented": ("digits-cnn", "data.augment=shift"),
    "lstm": ("digits-lstm",),
    "binary": ("moons-backprop",),
    "regression": ("diabetes-mlp",),
    "gan": ("digits-gan",),
    "vae": ("digits-autoencoder", "model.name=vae", "task.name=vae"),
    "autoencoder": ("digits-autoencoder",),
    "diffusion": ("digits-diffusion",),
    "language": ("docs-gpt", "training.batch_size=4"),
    "masked language": ("docs-bert", "training.batch_size=4"),
    "segmentation": ("scenes-unet", "training.batch_size=2"),
}


@contextmanager
def training(folder: Path, name: str, *sets: str) -> Iterator[Timed]:
    bench = Bench(presets.load(name, (*QUIET, *sets), builders=True), folder, 1.0, lambda line: None)
    with bench.training(bench.opened) as trainer:
        yield trainer


@pytest.fixture(autouse=True)
def replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training of the test tries to replay its steps."""
    monkeypatch.setattr(Opened, "stepping", lambda opened: replaying())


@pytest.mark.parametrize("preset", TASKS.values(), ids=TASKS.keys())
def test_no_step_asks_for_numbers(tmp_path: Path, preset: tuple[str, ...]) -> None:
    """Nor does anything change from step to step that a recording would repeat."""
    with training(tmp_path, *preset) as trainer:
        stepper = trainer.stepper
        assert isinstance(stepper, CapturedStepper)
        trainer.advance(FIRST + WATCHED + 1)
        before = stepper.replayed
        with Tape(torch.device("cpu")) as tape:
            trainer.advance(STEPS)

    assert stepper.reason == ""
    assert stepper.replayed - before == STEPS
    assert tape.waits == []
    assert len(tape.calls) > 10 * STEPS


def test_an_environment_is_excepted(tmp_path: Path) -> None:
    """It is played on the processor within every step, by what the policy answers: nobody claims to replay that."""
    with training(tmp_path, "cartpole-policy", "training.batch_size=2") as trainer:
        trainer.advance(FIRST + WATCHED + 1)
        assert isinstance(trainer.stepper, CapturedStepper)
        assert "waits for its numbers" in trainer.stepper.reason
