"""What is left to be measured: the largest part that fits, with the same effective batch; loaders, threads, order."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from dlcore import choosing, worker
from dlcore import preset as presets
from dlcore.choosing import Fits, choose, largest_part, workers_for
from dlcore.data.spec import DatasetPart
from dlcore.errors import UserError
from dlcore.events import EventReader
from dlcore.opening import Opened, load_and_build, whereabouts
from dlcore.preset import Preset
from dlcore.run_dir import RunDir
from dlcore.step_cost import UNSEEN
from dlcore.training.progress import rng_state
from tests.core.preset_runs import process_given_back, train

AUTO = (
    "training.batch_size=auto",
    "training.workers=auto",
    "training.threads=auto",
    "training.channels_last=auto",
)


def preset(name: str, *sets: str) -> Preset:
    return presets.load(name, ("training.device=cpu", *sets), builders=True)


def opened(name: str, *sets: str) -> Opened:
    return load_and_build(preset(name, *sets), lambda line: None)


@pytest.mark.parametrize("most", range(1, 14))
@pytest.mark.parametrize("whole", [1, 12, 60, 64, 13])
def test_the_largest_part_that_fits_is_found(whole: int, most: int) -> None:
    asked: list[int] = []

    def fits(size: int) -> bool:
        asked.append(size)
        return size <= most

    found = largest_part(whole, fits)

    assert found == max(size for size in range(1, whole + 1) if whole % size == 0 and size <= most)
    assert len(asked) == len(set(asked)) <= 5


def test_nothing_fits() -> None:
    assert largest_part(8, lambda size: False) is None


class Hungry(torch.nn.Module):
    """Has memory for five samples at once."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs) > 5 and not inputs.is_meta:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return self.layer(inputs.flatten(1))


def hungry(built: Opened) -> Opened:
    built.parts.task.model.forward = Hungry().forward  # type: ignore[method-assign]
    return built


def test_what_runs_out_of_memory_goes_through_in_parts_with_the_same_effective_batch() -> None:
    found, chosen = choose(hungry(opened("digits-mlp", AUTO[0], "training.effective_batch=64")), {})

    assert chosen == {"batch_size": 4, "accumulate": 16}
    assert found.preset.training.batch_size * found.preset.training.accumulate == 64
    assert found.choices["batch_size"] == (
        "4 (more do not fit in memory; 16 times, so that a step learns from 64)"
    )


def test_a_limit_of_memory_is_kept_without_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its shapes say it needs is not even tried: a trial too large would be killed, not told."""
    built, tried = opened("digits-cnn"), list[int]()
    fits = Fits(built, limit=float("inf"))
    fits.limit = UNSEEN * fits.expected(100)
    monkeypatch.setattr(fits, "_goes_through", lambda batch: bool(tried.append(batch) or True))

    assert fits.expected(50) < fits.expected(100) < fits.expected(400)
    assert largest_part(400, fits) == 100
    assert max(tried) == 100


def test_not_even_one_sample_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "free_memory", lambda device: 1000)
    with pytest.raises(UserError, match="with a single sample"):
        choose(opened("digits-cnn", AUTO[0]), {})


@pytest.mark.parametrize(
    ("loading", "step", "cores", "workers"),
    [
        (0.001, 0.1, 8, 0),
        (0.1, 0.1, 8, 2),
        (0.35, 0.1, 8, 5),
        (0.35, 0.1, 4, 3),
        (9.0, 0.1, 64, 16),
        (0.1, 0.1, 1, 1),
    ],
)
def test_as_many_loaders_as_keep_up(loading: float, step: float, cores: int, workers: int) -> None:
    found, reason = workers_for(loading, step, cores)
    assert found == {"workers": workers}
    assert "loading a batch takes" in reason


def test_everything_is_chosen_with_its_reason_and_nothing_is_disturbed() -> None:
    built = opened("digits-cnn", *AUTO)
    weights = {key: value.clone() for key, value in built.parts.model.state_dict().items()}
    threads, random_state = torch.get_num_threads(), rng_state()["torch"]
    try:
        found, chosen = choose(built, {})
        used = torch.get_num_threads()
    finally:
        torch.set_num_threads(threads)

    assert chosen.keys() == {"batch_size", "accumulate", "workers", "threads", "channels_last"}
    assert "auto" not in {getattr(found.preset.training, key) for key in chosen}
    assert (chosen["batch_size"], chosen["accumulate"]) == (256, 1)
    assert used == chosen["threads"]
    assert "the data is in memory" in found.choices["workers"]
    assert "the speed" in found.choices["channels_last"]
    assert torch.equal(rng_state()["torch"], random_state)
    assert all(torch.equal(weights[key], value) for key, value in found.parts.model.state_dict().items())


def test_what_is_faster_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the ratio in the same rounds; what is hardly faster is not worth leaving the usual for."""
    speeds = {False: 100.0, True: 150.0}

    class Loop:
        def __init__(self, training: dict[str, Any]) -> None:
            self.speed = speeds[training["channels_last"]]

        def advance(self, steps: int) -> Any:
            return type("Window", (), {"seconds": 0.01, "samples_per_second": self.speed})

        def close(self) -> None:
            pass

    monkeypatch.setattr(choosing, "bare_loop", lambda opened, training: Loop(training))
    built = opened("digits-cnn", AUTO[3])
    assert choose(built, {})[0].choices["channels_last"] == "on (measured; off: 0.67× the speed)"
    speeds[True] = 102.0
    assert choose(built, {})[1] == {"channels_last": False}


@pytest.mark.parametrize(
    ("device", "streamed", "begins"),
    [
        ("cuda", True, "read batch by batch, copied from pinned memory one batch ahead ("),
        ("cuda", False, "in the host's memory, copied from pinned memory one batch ahead (asked for"),
        ("cpu", True, "read batch by batch ("),
        ("cpu", False, "in memory ("),
    ],
)
def test_how_batches_get_to_the_device_is_told(device: str, streamed: bool, begins: str) -> None:
    built = opened("digits-mlp", "training.data_on_device=false")
    part = DatasetPart([0, 1]) if streamed else built.parts.data.train  # type: ignore[arg-type]
    assert whereabouts(part, torch.device(device), built.preset.training).startswith(begins)


@pytest.mark.parametrize("fused", [True, False])
def test_the_first_event_says_what_was_chosen_and_a_resume_keeps_it(fused: bool, tmp_path: Path) -> None:
    sets = (
        "training.batch_size=auto",
        "training.effective_batch=32",
        "training.device=cpu",
        "training.epochs=1",
    )
    train("digits-mlp", tmp_path, *sets, f"training.fused={str(fused).lower()}")
    (run,) = (RunDir(path) for path in tmp_path.iterdir())
    started = next(e for e in EventReader(run.events_path).read() if e["event"] == "started")

    reason = r"32 \(fits in memory, about 0\.\d MiB of [\d,]+ free, tried out; 32 a step\)"
    assert re.fullmatch(reason, started["choices"]["batch_size"])
    assert started["choices"]["optimizer"].startswith("adamw, fused" if fused else "adamw, not fused")
    assert {"device", "precision", "threads", "workers", "channels_last", "data"} <= started["choices"].keys()

    about = json.loads(run.run_json_path.read_text())
    about["chosen"]["batch_size"] = 16
    about["chosen"]["accumulate"] = 2
    run.run_json_path.write_text(json.dumps(about))
    text = run.preset_path.read_text().replace("epochs = 1\n", "epochs = 2\n")
    run.preset_path.write_text(text)
    with process_given_back():
        assert worker.run(run) == 0
    again = [e for e in EventReader(run.events_path).read() if e["event"] == "started"][-1]
    assert again["choices"]["batch_size"] == "16 (as when the run began)"
