"""Recorded runs: run directories as a worker leaves them, made in milliseconds and the same every time.

Everything a viewer reads is there: preset, run.json, events, series, state. Times are fixed, curves come
from a seed. A run that should live is alive only while the test holds its lock: ``with run.lock():``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dlcore.json_lines import LineWriter, encode
from dlcore.preset import dump, loads
from dlcore.run_dir import RunDir
from dlcore.series import SeriesWriter

START = 1_763_680_502.0  # 2025-11-20 23:15:02 UTC
EPOCH_SECONDS = 4.2
HOSTILE = "\x1b]0;owned\x07\x1b[31mred\u202e[bold]x[/bold]\x9b2J\n{x}\ud800"

PRESET = """
[about]
title = "Digits with a small convolutional network"
[data]
name = "digits"
[model]
name = "cnn"
channels = [32, 64]
[optimizer]
name = "adamw"
lr = 0.001
[training]
epochs = {epochs}
"""


@dataclass
class Recording:
    """What happened in a run.

    Attributes:
        status: starting, running, paused, finished, stopped, failed, or died (running, left alone).
        done: whole epochs trained; None for all of a finished run, else a good third.
        nan_from: epoch from which the training loss is nan; None for never.
        hostile: every text that comes from outside tries to take over the terminal.
        warnings: as the worker gave them after the first epoch.
        started: Unix seconds.
    """

    status: str = "finished"
    epochs: int = 20
    done: int | None = None
    steps_per_epoch: int = 23
    preset: str = "digits-cnn"
    model: str = "cnn"
    data: str = "digits"
    device: str = "cpu"
    nan_from: int | None = None
    hostile: bool = False
    warnings: tuple[str, ...] = ()
    started: float = START
    seed: int = 0
    events: list[dict[str, Any]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if self.done is None:
            self.done = self.epochs if self.status == "finished" else math.ceil(self.epochs / 3)
        if self.hostile:
            self.preset = self.model = self.data = self.device = HOSTILE
            self.warnings = (*self.warnings, HOSTILE)
        noise = np.random.default_rng(self.seed).normal(0, 1, self.epochs + 1)
        at = np.arange(1, self.epochs + 1)
        pace = self.epochs / 6
        self.val_loss = 0.11 + 2.0 * np.exp(-at / pace) + 0.004 * noise[1:] + 0.04 * (at / self.epochs) ** 2
        self.val_accuracy = np.minimum(0.9972, 0.985 - 0.75 * np.exp(-at / pace) + 0.003 * noise[:-1])

    @property
    def end(self) -> float:
        assert self.done is not None
        return self.started + 3.0 + EPOCH_SECONDS * self.done

    def metrics(self, epoch: int) -> dict[str, float | None]:
        """Figures of a finished epoch, counted from 1; None is how files say nan."""
        train = 0.04 + 2.0 * math.exp(-epoch / (self.epochs / 6))
        broken = self.nan_from is not None and epoch >= self.nan_from
        return {
            "train/loss": None if broken else round(train, 6),
            "val/loss": None if broken else round(float(self.val_loss[epoch - 1]), 6),
            "val/accuracy": round(float(self.val_accuracy[epoch - 1]), 6),
        }

    def best(self, epoch: int) -> dict[str, Any] | None:
        """The best of the first ``epoch`` epochs."""
        if epoch == 0:
            return None
        at = int(self.val_accuracy[:epoch].argmax())
        return {"metric": "val/accuracy", "value": round(float(self.val_accuracy[at]), 6), "epoch": at + 1}

    def add(self, time: float, event: str, **fields: Any) -> None:
        self.events.append({"seq": len(self.events) + 1, "time": round(time, 3), "event": event, **fields})


def make_run(runs: Path, name: str = "20251120-231502-digits-cnn", **how: Any) -> RunDir:
    """Writes a run directory and returns it.

    Args:
        runs: the runs folder, made when missing.
        name: of the run's folder; any name a file system takes.
        **how: of `Recording`.
    """
    recording = Recording(**how)
    run = RunDir(runs / name)
    run.path.mkdir(mode=0o700, parents=True)
    for folder in (run.checkpoints_path, run.inspections_path, run.samples_path):
        folder.mkdir(mode=0o700)
    run.preset_path.write_text(
        dump(loads(PRESET.format(epochs=recording.epochs), "digits-cnn", builders=False))
    )
    about = {
        "name": name,
        "created": recording.started,
        "preset": recording.preset,
        "command": ["dltui", "run"],
    }
    run.write_json_atomic("run.json", about, durable=False)
    _tell(recording)
    write_events(run, recording.events)
    _write_series(run, recording)
    run.write_state(_state(recording))
    run.lock_path.touch(mode=0o600)
    return run


def write_events(run: RunDir, events: list[dict[str, Any]]) -> None:
    """Appends events as they are, times included."""
    lines = LineWriter(run.events_path)
    for event in events:
        lines.append(encode(event))
    lines.close()


def _tell(recording: Recording) -> None:
    started, steps = recording.started, recording.steps_per_epoch
    assert recording.done is not None
    recording.add(started, "created", preset=recording.preset)
    if recording.status == "starting":
        return
    recording.add(
        started + 2.5, "started", device=recording.device, precision="fp32", parameters=421_642,
        train_samples=1437, val_samples=180, test_samples=180, epochs=recording.epochs, steps_per_epoch=steps,
        choices={"device": "cpu (no GPU found)", "precision": "fp32 (the processor has no bf16)"},
        fingerprint={"torch": "2.13.0"},
    )  # fmt: skip
    for epoch in range(1, recording.done + 1):
        now = started + 3.0 + EPOCH_SECONDS * epoch
        best = recording.best(epoch)
        better = best is not None and best["epoch"] == epoch
        recording.add(
            now, "epoch", epoch=epoch, step=epoch * steps, metrics=recording.metrics(epoch),
            seconds=EPOCH_SECONDS, samples_per_second=3420.5, lr=1e-3, best=better,
        )  # fmt: skip
        path = f"step-{epoch * steps:08d}"
        recording.add(
            now,
            "checkpoint",
            step=epoch * steps,
            epoch=epoch,
            path=path,
            bytes=5_060_112,
            seconds=0.02,
            best=better,
        )
        if epoch == 1:
            for warning in recording.warnings:
                recording.add(now, "warning", message=warning, kind="run")
    _tell_end(recording)


def _tell_end(recording: Recording) -> None:
    assert recording.done is not None
    end, step = recording.end, recording.done * recording.steps_per_epoch
    if recording.status == "paused":
        recording.add(end + 1, "command", id="5f0c", command="pause", value=None, ok=True, message="Paused.")
        recording.add(end + 1, "paused", step=step)
    elif recording.status == "finished":
        recording.add(end + 0.5, "test", metrics={"test/loss": 0.1432, "test/accuracy": 0.9722})
        best = recording.best(recording.done)
        recording.add(end + 0.6, "finished", seconds=end - recording.started - 3, best=best, reason="epochs")
    elif recording.status == "stopped":
        recording.add(end + 0.5, "stopped", by="SIGINT", exit=130, step=step)
    elif recording.status == "failed":
        recording.add(
            end,
            "nonfinite",
            step=step + 7,
            epoch=recording.done + 1,
            what="loss",
            layer="fc1",
            indices=[3, 7],
        )
        recording.add(end, "failed", error=_error(recording), exit=1)


def _error(recording: Recording) -> str:
    return HOSTILE if recording.hostile else "The loss became non-finite in fc1; try a smaller optimizer.lr."


def _write_series(run: RunDir, recording: Recording) -> None:
    assert recording.done is not None
    writer = SeriesWriter(run.metrics_path)
    steps, done = recording.steps_per_epoch, recording.done
    if done:
        step = np.arange(1, done * steps + 1)
        noise = np.random.default_rng(recording.seed + 1).normal(0, 0.05, len(step))
        loss = 0.04 + 2.0 * np.exp(-step / steps / (recording.epochs / 6)) * (1 + noise)
        if recording.nan_from is not None:
            loss[(recording.nan_from - 1) * steps :] = np.nan
        times = recording.started + 3.0 + EPOCH_SECONDS * step / steps
        writer.append("train/loss", step, times, loss)
        writer.append("train/lr", step, times, 1e-3)
        ends = step[steps - 1 :: steps]
        writer.append("val/loss", ends, times[steps - 1 :: steps], recording.val_loss[:done])
        writer.append("val/accuracy", ends, times[steps - 1 :: steps], recording.val_accuracy[:done])
    if recording.status == "finished":
        writer.append("test/accuracy", done * steps, recording.end, 0.9722)
        writer.append("test/loss", done * steps, recording.end, 0.1432)
    writer.close()


def _state(recording: Recording) -> dict[str, Any]:
    assert recording.done is not None
    done, steps = recording.done, recording.steps_per_epoch
    state = {
        "status": "running" if recording.status == "died" else recording.status,
        "preset": recording.preset,
        "model": recording.model,
        "data": recording.data,
        "epochs": recording.epochs,
        "created": recording.started,
    }
    if recording.status == "starting":
        return state
    metrics = recording.metrics(done) if done else {}
    if recording.status == "finished":
        metrics |= {"test/loss": 0.1432, "test/accuracy": 0.9722}
    return state | {
        "device": recording.device,
        "epoch": done,
        "step": done * steps,
        "steps": recording.epochs * steps,
        "seconds": EPOCH_SECONDS * done,
        "samples_per_second": 3420.5,
        "lr": 1e-3,
        "parameters": 421_642,
        "best": recording.best(done),
        "metrics": metrics,
        "updated": recording.end,
        "error": _error(recording) if recording.status == "failed" else "",
    }
