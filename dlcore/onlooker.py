"""Who looks on while a run trains: at the inside of the network, its answers, and what the doctor makes of it.

Nothing that goes wrong here ends the training; it is told as an event.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from dlcore import examining
from dlcore.data.batches import Batches
from dlcore.data.picking import pick, spread
from dlcore.data.spec import Batch
from dlcore.doctor.diagnosis import diagnose
from dlcore.doctor.record import Record
from dlcore.doctor.registry import rules
from dlcore.exhibits import write_inspection, write_samples
from dlcore.opening import Opened
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from dlcore.training.checkpoints import Checkpoint
from dlcore.training.looks import affordable_samples
from dlcore.training.recorder import Recorder
from dlcore.training.trainer import Trainer

LOOKED_AT = 64
"""Training samples that every look inside the network goes by: the same ones, so that looks can be compared."""


class Onlooker:
    """Looks at one run, and writes down what it saw."""

    def __init__(self, run: RunDir, recorder: Recorder, opened: Opened) -> None:
        self.run, self.recorder, self.opened = run, recorder, opened
        self._looked_at: Batch | None = None
        rules()  # imports them, which takes 15 ms: now and not beside the training

    def look(self, trainer: Trainer, why: str) -> str:
        """What the network is like now: its layers, and where somebody wants them its answers."""
        if why in ("asked", "interval"):
            write_samples(self.run, trainer, self._few(trainer.val))
        if self._looked_at is None:
            part, training = self.opened.parts.data.train, self.opened.preset.training
            count = min(LOOKED_AT, max(2, training.batch))
            self._looked_at = pick(part, spread(len(part), count), self.opened.device)
        batch = self._looked_at
        if why == "first":
            began = trainer.clock()
            aside(self.recorder, lambda: self._examine(batch))
            batch = self._looked_at = self._thinned(trainer, batch, trainer.clock() - began)
        path = write_inspection(self.run, trainer, batch, why)
        if why != "first":
            consult(self.run, self.recorder)
        return path

    def look_at_best(self, trainer: Trainer, best: Checkpoint) -> None:
        """The network, which has its best weights again, where it was not seen while it had them."""
        batch, (step, epoch) = self._looked_at, (int(best.manifest["step"]), int(best.manifest["epoch"]))
        seen = (self.run.inspections_path / f"step-{step:08d}.json").exists()
        if batch is not None and self.opened.preset.inspection.share and not seen:
            began = trainer.clock()
            aside(self.recorder, lambda: _written(self.run, trainer, batch, (step, epoch)))
            trainer.looks.spent += trainer.clock() - began

    def last_samples(self, trainer: Trainer) -> None:
        """A few samples of the test (or validation) part with the model's answers."""
        data = self.opened.parts.data
        batches = self.opened.batches(data.test or data.val, train=False)
        write_samples(self.run, trainer, self._few(batches))
        batches.close()

    def _thinned(self, trainer: Trainer, batch: Batch, seconds: float) -> Batch:
        """The samples that looks can afford, given what examining all of them took."""
        have, epochs = len(batch.index), trainer.total_steps / trainer.steps_per_epoch
        passes = epochs * len(self.opened.parts.data.train) / have
        count = affordable_samples(have, seconds, passes, self.opened.preset.inspection.share)
        if count == have:
            return batch
        chosen = spread(have, count)
        return Batch(*(tensor[chosen] for tensor in batch))

    def _few(self, batches: Batches) -> Batch:
        count = self.opened.preset.inspection.samples
        return Batch(*(tensor[:count] for tensor in next(iter(batches.epoch(0)))))

    def _examine(self, batch: Batch) -> None:
        """What the doctor wants to know from before the training."""
        self.run.update_json("run.json", {"examination": examining.quick(self.opened.parts, batch)})


def _written(run: RunDir, trainer: Trainer, batch: Batch, earlier: tuple[int, int]) -> None:
    write_inspection(run, trainer, batch, "best", earlier)


def consult(run: RunDir, recorder: Recorder) -> None:
    """What the doctor finds now and has not told before, as events."""

    def tell() -> None:
        record = Record.read(run)
        told = {(event.get("rule"), event.get("layer")) for event in record.of_kind("finding")}
        for finding in diagnose(record):
            if (finding.rule, finding.layer) not in told:
                recorder.event("finding", **finding.to_dict())

    aside(recorder, tell)


def aside(recorder: Recorder, work: Callable[[], None]) -> None:
    """Work beside the training, which no mistake in it may end."""
    try:
        work()
    except Exception as error:
        traceback.print_exc()
        recorder.event("warning", kind="doctor", message=safe_text(f"{type(error).__name__}: {error}"))
