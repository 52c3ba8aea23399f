"""`bench`: opens a preset as a training does and measures it, beside a bare loop and beside itself with changes."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from dlcore.assembly import Parts
from dlcore.bench.changes import Change, candidates
from dlcore.bench.hardware import flops_of_step, memory_watched, peak_flops
from dlcore.bench.loops import Bare, Timed
from dlcore.bench.turns import Spread, take_turns
from dlcore.choosing import choose
from dlcore.control import ControlReader
from dlcore.errors import UserError
from dlcore.events import EventWriter
from dlcore.opening import Opened, load_and_build
from dlcore.preset import Preset
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from dlcore.training.checkpoints import CheckpointFolder, CheckpointWriter
from dlcore.training.looks import Looks
from dlcore.training.precision import set_up_backends
from dlcore.training.recorder import Recorder
from dlcore.training.signals import Flags
from dlcore.training.trouble import is_out_of_memory

GAIN = 1.05
"""A change is suggested when its median is above this, and faster at all in three rounds of four."""

WINDOW = 0.4
"""Seconds that a contender's turn takes, unless one step takes longer or the time is short."""

SHARE = 0.3
"""Of the time, for the trainer beside the bare loop; changes share most of the rest."""

SLOW = 0.1
"""A step that takes this much of the time is made as rarely as can be: what was asked for is exceeded anyway."""

SPLIT_STEPS, SPLIT_SHARE = 40, 0.1
CALIBRATION = 8  # steps, the first of which warm up
Report = Callable[[str], None]


def bench(preset: Preset, seconds: float, report: Report) -> dict[str, Any]:
    """Measure a preset for about so many seconds, its data loaded and its parts built before.

    Returns:
        Plain data: ``ours`` and ``bare`` in samples a second (see ``unit``: in steps played where there is an
        environment), their ``ratio``, ``split`` of a step in seconds,
        ``memory``, ``flops``, ``changes`` with their measured gain, and ``not_tried`` with reasons.

    Raises:
        UserError: what to mend.
    """
    threads = torch.get_num_threads()
    try:
        with tempfile.TemporaryDirectory(prefix="dltui-bench-") as folder:
            return Bench(preset, Path(folder), seconds, report).measure()
    finally:
        torch.set_num_threads(threads)


class Bench:
    """One measurement.

    Attributes:
        opened: the preset's parts as they were built; contenders train copies of them.
    """

    def __init__(self, preset: Preset, folder: Path, seconds: float, report: Report) -> None:
        self.folder, self.seconds, self.report = folder, seconds, report
        endless = preset.with_training(epochs=1_000_000, max_steps=0)
        opened, _ = choose(load_and_build(endless, report), {})
        parts, note = as_in_most_epochs(opened.parts, preset.training.epochs)
        self.opened, self.preset = replace(opened, parts=parts), opened.preset
        self.notes = [*parts.data.notes, *([note] if note else [])]
        self._made = 0

    def measure(self) -> dict[str, Any]:
        """Everything, in the order of what matters most."""
        began = time.perf_counter()
        opened = self.opened
        self.report("warming up")
        with self.training(opened) as trainer, self.bare(opened) as bare:
            with memory_watched(opened.device) as seen:
                step = self._warm_up(trainer)
            steps = max(1, round(min(WINDOW, SHARE * self.seconds / 10) / step))
            flops, how = flops_of_step(trainer)
            fastest = self._peak_flops()
            took = f" (a step takes {step:,.0f} s)" if step > max(1.0, SLOW * self.seconds) else ""
            self.report(f"the trainer beside a bare loop{took}")
            bare.advance(min(2, steps))
            recording: list[float] = []
            lasted: list[float] = []

            def ours() -> float:
                window = trainer.advance(steps)
                recording.append(window.recording / window.steps)
                lasted.append(window.seconds / window.steps)
                return window.samples_per_second

            rounds = take_turns(
                {"ours": ours, "bare": lambda: bare.advance(steps).samples_per_second},
                SHARE * self.seconds,
            )
            split = trainer.split(max(1, min(SPLIT_STEPS, int(SPLIT_SHARE * self.seconds / step))))
            split["recording"] = sum(recording) / len(recording)
            # Once more: a neighbour may have been at work the first time.
            peak, peak_of = max(fastest, self._peak_flops())
            self.notes += trainer.train.notes
            changes, left = self.try_changes(trainer, step, began)
        achieved = flops / statistics.median(lasted)
        return {
            **self._facts(),
            "ours": asdict(rounds.spread("ours")),
            "bare": asdict(rounds.spread("bare")),
            "ratio": {**asdict(rounds.ratio("ours", "bare")), "rounds": len(rounds), "steps": steps},
            "split": split,
            "memory": asdict(seen[0]) | {"split": trainer.recorder.summary.get("memory", {})},
            "flops": {
                "step": flops,
                "achieved": achieved,
                "peak": peak,
                "peak_of": peak_of,
                "share": achieved / peak,
                "how": how,
            },
            "changes": changes,
            "not_tried": left,
            "notes": [safe_text(note) for note in self.notes],
            "seconds": time.perf_counter() - began,
        }

    def _warm_up(self, trainer: Timed) -> float:
        """Seconds of a step, after a few."""
        try:
            trainer.advance(1)
            first = trainer.advance(1)
            if first.seconds > SLOW * self.seconds:
                return first.seconds
            trainer.advance(max(1, min(CALIBRATION, int(0.05 * self.seconds / first.seconds))))
            # What is replayed has been recorded by now, which took a while.
            window = trainer.advance(max(1, min(CALIBRATION, int(0.05 * self.seconds / first.seconds))))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise _does_not_go_through(self.preset, error) from error
        return window.seconds / window.steps

    def _peak_flops(self) -> tuple[float, str]:
        return peak_flops(self.opened.device, self.opened.precision, 0.02 * self.seconds)

    def try_changes(
        self, base: Timed, step: float, began: float
    ) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Every candidate beside the preset as it is, as long as there is time."""
        tried: list[dict[str, Any]] = []
        todo, left = candidates(self.opened)
        while todo:
            change = todo.pop(0)
            remaining = self.seconds - (time.perf_counter() - began)
            share = remaining / (1 + len(todo))
            key = ", ".join(change.sets)
            if change.dear and remaining < change.dear:
                more = round(self.seconds + change.dear - remaining + 5)
                left[key] = (
                    f"takes about {change.dear:.0f} s to get ready; give it time with --seconds {more}"
                )
                continue
            if remaining <= 0:
                left[key] = f"the time was over; give it more with --seconds {round(2 * self.seconds)}"
                continue
            self.report(f"with {key}")
            try:
                ratio = self.beside(base, change, step, share)
            except (RuntimeError, MemoryError, UserError) as error:
                memory = isinstance(error, MemoryError) or is_out_of_memory(error)
                reason = "it does not fit in memory" if memory else f"it fails: {error}".splitlines()[0]
                left[key] = safe_text(reason, limit=200)
                continue
            worth = ratio.median > GAIN and ratio.low > 1.0
            tried.append({"set": list(change.sets), "say": change.say, **asdict(ratio), "worth": worth})
        return sorted(tried, key=lambda entry: -entry["median"]), left

    def beside(self, base: Timed, change: Change, step: float, seconds: float) -> Spread:
        """Samples a second with a change, over those without.

        Args:
            step: seconds of a step without.
        """
        changed, start = self._with(change), time.perf_counter()
        usual = torch.get_num_threads()
        its_threads = int(changed.preset.training.threads) or usual  # nothing is "auto" any more

        def seconds_left() -> float:
            return seconds - (time.perf_counter() - start)

        def theirs(other: Timed, steps: int) -> float:
            try:
                _switch(changed, its_threads)
                return other.advance(steps).samples_per_second
            finally:
                _switch(self.opened, usual)

        try:
            _switch(changed, its_threads)
            with self.training(changed) as other:
                its_step = self._warm_up(other)
                window = min(WINDOW, max(0.0, seconds_left()) / 8)
                its_steps, steps = (max(1, round(window / each)) for each in (its_step, step))
                contenders = {
                    "base": lambda: base.advance(steps).samples_per_second,
                    "changed": lambda: theirs(other, its_steps),
                }
                return take_turns(contenders, seconds_left(), most=9).ratio("changed", to="base")
        finally:
            _switch(self.opened, usual)

    def _with(self, change: Change) -> Opened:
        return replace(
            self.opened,
            preset=self.preset.with_training(**change.training),
            precision=change.training.get("precision", self.opened.precision),
        )

    def _facts(self) -> dict[str, Any]:
        training, opened = self.preset.training, self.opened
        return {
            "preset": self.preset.source,
            "model": self.preset.model.name,
            "data": self.preset.data.name,
            "task": opened.parts.choices["task"].partition(" ")[0],
            "device": str(opened.device),
            "precision": opened.precision,
            "threads": torch.get_num_threads(),
            "batch_size": training.batch,
            "accumulate": training.accumulate,
            "unit": "steps played" if opened.parts.data.spec.target == "reward" else "samples",
            "choices": opened.choices,
        }

    @contextmanager
    def training(self, opened: Opened) -> Iterator[Timed]:
        """The trainer over a copy of the parts, with a run directory of its own that goes away."""
        run = RunDir.create(self.folder, f"run-{self._made}", "bench")
        self._made += 1
        preset, parts = opened.preset, opened.copy()
        recorder = Recorder(
            run, EventWriter(run.path / "events.jsonl"), seconds=preset.training.record_seconds
        )
        trainer = parts.furnish().trainer(
            recorder,
            kind=Timed,
            saver=CheckpointWriter(CheckpointFolder(run.checkpoints_path), self.notes.append),
            control=ControlReader(run.path / "control.jsonl", start_at_end=True),
            flags=Flags(),
            looks=Looks(lambda trainer, why: "", preset.inspection),
        )
        assert isinstance(trainer, Timed)
        try:
            yield trainer
        finally:
            trainer.train.close()
            trainer.val.close()
            recorder.close()

    @contextmanager
    def bare(self, opened: Opened) -> Iterator[Bare]:
        """The bare loop over a copy of the parts."""
        loop = Bare(opened.copy().furnish())
        try:
            yield loop
        finally:
            loop.close()


def as_in_most_epochs(parts: Parts, epochs: int) -> tuple[Parts, str]:
    """Parts that stay as they are in most of a training's epochs, where layers are frozen for some of them.

    A step is shorter while they are, and what is compared must not thaw at different moments.

    Returns:
        The parts, and what to tell the user.
    """
    freezing = parts.freezing
    if freezing is None or not freezing.epochs:
        return parts, ""
    frozen = min(freezing.epochs, epochs)
    if 2 * frozen > epochs:
        freezing.epochs = 0  # for good
        return parts, f"Measured with the layers frozen that are in the first {frozen} of {epochs} epochs."
    freezing.start_epoch(freezing.epochs)
    return (
        replace(parts, freezing=None),
        f"Measured with all layers learning, as after the first {frozen} of {epochs} epochs.",
    )


def _switch(opened: Opened, threads: int) -> None:
    """The process-wide settings of a preset."""
    torch.set_num_threads(threads)
    set_up_backends(opened.preset.training, opened.device)


def _does_not_go_through(preset: Preset, error: Exception) -> UserError:
    if isinstance(error, UserError):
        return error
    if is_out_of_memory(error):
        return UserError("A step does not fit in memory; try a smaller training.batch.")
    first = safe_text(f"{type(error).__name__}: {error}".splitlines()[0], limit=200)
    return UserError(
        f"A batch does not go through the network ({first}); dltui check {preset.source} says where."
    )
