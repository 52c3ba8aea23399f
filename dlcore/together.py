"""What is different when a run is trained by several processes: who writes, what is averaged, what all are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from dlcore.choosing import choose
from dlcore.control import ControlReader
from dlcore.errors import UserError
from dlcore.events import EventWriter
from dlcore.opening import Opened
from dlcore.preset import Inspection, Preset
from dlcore.run_dir import RunDir
from dlcore.training.checkpoints import Checkpoint, CheckpointFolder, CheckpointWriter
from dlcore.training.looks import Looks, Take
from dlcore.training.parallel.batch_norm import share_batch_norm
from dlcore.training.parallel.group import Group
from dlcore.training.parallel.loss import AveragedLoss
from dlcore.training.parallel.recording import SharedControl, SharedRecorder, SilentRecorder, SilentWriter
from dlcore.training.parallel.trainer import ParallelStepper, ParallelTrainer
from dlcore.training.recorder import Recorder
from dlcore.training.trainer import Trainer


class Together:
    """One process's side of a run that a group trains."""

    def __init__(self, group: Group, preset: Preset) -> None:
        self.group, self.kind = group, preset.training.parallel

    def recorder(self, run: RunDir, seconds: float) -> Recorder:
        """Writes in process 0 only."""
        if self.group.first:
            recorder = SharedRecorder(run, EventWriter(run.events_path), seconds=seconds)
            recorder.group = self.group
            return recorder
        return SilentRecorder(self.group, run, seconds)

    def choose(self, built: Opened, known: Mapping[str, Any]) -> tuple[Opened, dict[str, Any]]:
        """What process 0 measures holds for all."""
        if self.group.first:
            opened, chosen = choose(built, known)
            self.group.told(chosen)
        else:
            opened, chosen = choose(built, self.group.told({}))
        training = opened.preset.training
        if training.batch < self.group.size:
            raise UserError(
                f"training.batch_size {training.batch} is less than the {self.group.size} processes that share it; "
                "take larger batches or fewer processes."
            )
        if opened.parts.task.spec.target == "reward":
            raise UserError("Episodes are played in one process; leave --nproc-per-node out.")
        said = {
            "processes": f"{self.group.size} ({self.kind}; a batch of {training.batch} is that of all together)"
        }
        said["graph"] = "off (several processes average their gradients)"
        return replace(opened, share=self.group.own, choices={**opened.choices, **said}), chosen

    def trainer(
        self,
        opened: Opened,
        recorder: Recorder,
        *,
        saver: CheckpointWriter,
        control: ControlReader,
        take: Take,
        **stands_on: Any,
    ) -> Trainer:
        """The loop; its network is prepared for a group."""
        task, group = opened.parts.task, self.group
        if self.kind == "fsdp" and (opened.parts.freezing or opened.parts.rates):
            raise UserError(
                "training.parallel = 'fsdp' knows no frozen layers or rates of their own; take 'ddp'."
            )
        share_batch_norm(task.model, group)
        averaged = AveragedLoss(task, group, self.kind, opened.device)
        looking = opened.preset.inspection
        if not group.first or self.kind == "fsdp":
            looking, take = Inspection(share=0.0), self._no_look
        return opened.trainer(
            recorder,
            kind=ParallelTrainer,
            stepping=partial(ParallelStepper, averaged=averaged),
            saver=saver if group.first else SilentWriter(saver.folder),
            control=SharedControl(control, group),
            looks=Looks(take, looking),
            **stands_on,
        )

    def checkpoint(self, found: Checkpoint | None, folder: CheckpointFolder) -> Checkpoint | None:
        """The one that process 0 found, in all of them."""
        name = self.group.told(found.path.name if found is not None else "")
        return next((each for each in folder.all() if each.path.name == name), None)

    def _no_look(self, trainer: Trainer, why: str) -> str:
        if self.kind == "fsdp":
            raise UserError("no process has the whole network; look at a checkpoint with dltui inspect")
        return ""


def gone(run: RunDir) -> str:
    """The sentence for a training one of whose processes is gone."""
    last = CheckpointFolder(run.checkpoints_path).newest()
    if last is None:
        return "Another process of this training is gone, and there is no checkpoint yet: start it anew."
    return (
        f"Another process of this training is gone. The last checkpoint is {last.path.name}: "
        f"dltui resume {run.name} goes on from there."
    )
