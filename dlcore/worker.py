"""Trains one run: ``python -m dlcore.worker RUN_DIR``.

Opens the preset, trains, and is the only writer of the run directory. Holds the run's lock for its whole
life.
"""

from __future__ import annotations

import signal
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from dlcore import assembly, description, kept_code
from dlcore.atomic import write_atomic
from dlcore.choosing import choose
from dlcore.control import ControlReader
from dlcore.data.loader import loader_failure
from dlcore.errors import UserError
from dlcore.events import EventReader, EventWriter
from dlcore.launch import protect_output, report_errors, report_ready
from dlcore.onlooker import Onlooker, consult
from dlcore.opening import Opened, load_and_build
from dlcore.preset import Training, dump
from dlcore.run_dir import RunDir, RunHeld
from dlcore.run_dir.files import facts_of, folder_named, go_to, load_preset, read_json
from dlcore.text_safety import safe_text
from dlcore.together import Together, gone
from dlcore.training.checkpoints import CheckpointFolder, CheckpointWriter, require_space, tensor_bytes
from dlcore.training.evaluation import evaluate
from dlcore.training.looks import Looks
from dlcore.training.outcome import OUT_OF_MEMORY, Outcome
from dlcore.training.parallel.group import Group, is_lost, join, leave
from dlcore.training.precision import fingerprint
from dlcore.training.progress import load_weights, restore
from dlcore.training.recorder import Recorder
from dlcore.training.signals import EXIT_CODES, Flags, Interrupted, requeue_in_slurm
from dlcore.training.trainer import Trainer
from dlcore.training.trouble import is_out_of_memory
from dlcore.training.weight_mapping import Loaded

EPOCH_FACTS = ("epoch", "step", "metrics", "seconds", "samples_per_second", "lr", "best")
HELD = 3
BAD_INPUT = 2
TOLD = 50  # tensors named in the event about weights


class Worker:
    """One run, from its preset to its end."""

    def __init__(self, run: RunDir, flags: Flags, group: Group | None = None) -> None:
        self.run, self.flags = run, flags
        self.about = read_json(run.run_json_path)
        self.before = read_json(run.state_path)
        self.preset = load_preset(run, str(self.about.get("preset", run.name)), self.about.get("base"))
        self.folder = CheckpointFolder(run.checkpoints_path, self.preset.checkpoint.keep)
        self.control = ControlReader(run.control_path, start_at_end=True)
        self.together = Together(group, self.preset) if group is not None else None
        self.writes = group is None or group.first
        seconds = self.preset.training.record_seconds
        self.recorder = (
            self.together.recorder(run, seconds)
            if self.together
            else Recorder(run, EventWriter(run.events_path), seconds=seconds)
        )
        self.recorder.summary = {**self.before, **facts_of(self.preset)}

    def prepare(self) -> None:
        """Everything that can go wrong through the user's doing, before the first step.

        Raises:
            UserError: what to mend.
        """
        self.recorder.state(force=True, status="starting")
        self.opened, self.chosen = self._open()
        self.parts = self.opened.parts
        self.recorder.state(force=True, device=str(self.opened.device))
        if self.folder.all():
            for sentence in kept_code.changes(self.run):
                self._warn(sentence)
        elif self.writes:
            kept_code.keep(self.run, self.preset)
        self.weight_bytes = tensor_bytes(self.parts.task.model.state_dict())
        # Weights, their average, and up to two moments a weight in the optimizer.
        require_space(self.run.path, (3 + (self.preset.training.ema > 0)) * self.weight_bytes + 2**20)
        self.onlooker = Onlooker(self.run, self.recorder, self.opened)
        self.trainer = self._make_trainer()
        for note in (*self.parts.data.notes, *self.trainer.train.notes):
            self.recorder.event("warning", kind="data", message=safe_text(note))
        if self.trainer.monitor.partition("/")[0] != "val":
            raise UserError(
                f"training.monitor must be a validation metric such as 'val/loss', got '{self.trainer.monitor}'."
            )
        if self.writes:
            self._write_description()

    def _open(self) -> tuple[Opened, dict[str, Any]]:
        """The preset's parts where they train, and what was measured on the way."""
        turn = self.together.group.one_after_first() if self.together else nullcontext()
        self.checkpoint = self.folder.newest(self._warn if self.writes else lambda _: None)
        about = self.about if self.checkpoint is not None else {}  # without one nothing is left of what began
        with turn:
            built = load_and_build(
                self.preset, self._report, runs=self.run.path.parent, loaded=description.loaded(about),
                resuming=self.checkpoint is not None,
            )  # fmt: skip
        choosing = self.together.choose if self.together else choose
        opened, chosen = choosing(built, description.chosen(about))
        return opened.furnish(), chosen

    def _make_trainer(self) -> Trainer:
        saver = CheckpointWriter(self.folder, self._warn)
        both: dict[str, Any] = {"flags": self.flags, "remember": self._remember}
        if self.together is not None:
            return self.together.trainer(
                self.opened, self.recorder, saver=saver, control=self.control, take=self.onlooker.look, **both
            )
        looks = Looks(self.onlooker.look, self.preset.inspection)
        return self.opened.trainer(self.recorder, saver=saver, control=self.control, looks=looks, **both)

    def resume(self) -> None:
        """Go on from the newest whole checkpoint, if there is one."""
        checkpoint = self.checkpoint if self.writes else None
        if self.together is not None:
            checkpoint = self.together.checkpoint(checkpoint, self.folder)
        if checkpoint is None:
            if self.before.get("step"):
                self._warn("There is no checkpoint to go on from: the run starts from its beginning.")
            return
        differs = restore(self.trainer, checkpoint)
        progress = self.trainer.progress
        self._announce(checkpoint.manifest.get("announces"))
        self.recorder.summary |= {"best": progress.best, "step": progress.step, "epoch": progress.epoch}
        self.recorder.event(
            "resumed", step=progress.step, epoch=progress.epoch, same_environment=not differs, differs=differs
        )
        if differs:
            changed = ", ".join(f"{name} {then} -> {now}" for name, (then, now) in differs.items())
            self._warn(
                f"The environment differs ({changed}): the run goes on equally well, but not bit for bit."
            )

    def _announce(self, facts: object) -> None:
        """Write the epoch event that a worker killed right after the checkpoint could not write any more."""
        if not isinstance(facts, dict):
            return
        events = EventReader(self.run.events_path).read()
        if facts.get("step") not in [event.get("step") for event in events if event["event"] == "epoch"]:
            self.recorder.event("epoch", **{name: facts.get(name) for name in EPOCH_FACTS})

    def train(self) -> Outcome:
        """Train to an end, test with the best weights, and say how it went."""
        trainer, data, training = self.trainer, self.parts.data, self.preset.training
        parameters = sum(p.numel() for p in self.parts.task.model.parameters())
        self.recorder.event(
            "started",
            device=str(self.opened.device),
            precision=trainer.precision.name,
            parameters=parameters,
            train_samples=len(data.train),
            val_samples=len(data.val),
            test_samples=len(data.test) if data.test is not None else 0,
            epochs=training.epochs,
            steps_per_epoch=trainer.steps_per_epoch,
            monitor=trainer.monitor,
            choices=self.opened.choices,
            fingerprint=fingerprint(self.opened.device),
        )
        self.recorder.state(force=True, status="running", parameters=parameters, epochs=training.epochs)
        if self.parts.weights is not None and not trainer.progress.step:
            self._tell_weights(self.parts.weights)
        outcome = trainer.fit()
        kept = bool(self.folder.all())
        if self.together is not None:
            kept = self.together.group.told(kept)
        if outcome.exit_code == 0 and not kept:
            outcome = Outcome(
                "failed", 1, f"Nothing of this training is kept: {self.folder.path} took no file."
            )
        if outcome.reason in ("epochs", "patience", "max_steps"):
            self._finish(outcome)
        elif outcome.reason == "stopped":
            self._stopped(outcome)
        else:
            self.fail(outcome.message)
        return outcome

    def _finish(self, outcome: Outcome) -> None:
        """The test part, once, with the best weights; then the end."""
        trainer, task, data = self.trainer, self.parts.task, self.parts.data
        best = self.folder.best()
        if self.together is not None:
            best = self.together.checkpoint(best, self.folder)
        if best is not None:
            load_weights(task.model, best.weights())
            self.onlooker.look_at_best(trainer, best)
        metrics: dict[str, float] = {}
        if data.test is not None:
            batches = self.opened.batches(data.test, train=False)
            result = evaluate(task, batches, trainer.precision)
            batches.close()
            metrics = {f"test/{name}": float(value) for name, value in result.compute().items()}
            self.recorder.scalars(trainer.progress.step, metrics)
            self.recorder.event("test", metrics=metrics, **assembly.plain(result.details()))
        try:
            if self.together is None or (self.writes and self.together.kind == "ddp"):
                self.onlooker.last_samples(trainer)
        except Exception as error:  # a training that reached its end has not failed
            traceback.print_exc()
            self._warn(f"The samples could not be written ({type(error).__name__}: {error}).")
        self.recorder.sync()
        latest = self.recorder.summary.get("metrics", {}) | metrics
        judged, seconds = trainer.progress.best, trainer.seconds
        # The state first: killed between the two, the run is finished to listings, and a resume ends at once.
        self.recorder.state(force=True, status="finished", metrics=latest, best=judged, seconds=seconds)
        self.recorder.event("finished", reason=outcome.reason, seconds=seconds, best=judged)

    def _stopped(self, outcome: Outcome) -> None:
        message = outcome.message
        if message == "SIGUSR1":
            message = requeue_in_slurm() or message
        self.recorder.event("stopped", by=message, exit=outcome.exit_code, step=self.trainer.progress.step)
        self.recorder.state(force=True, status="stopped")

    def fail(self, message: str) -> None:
        """The training failed; one line for people, the rest is in worker.log."""
        if self.writes and self.preset.inspection.share:
            self.recorder.flush()
            consult(self.run, self.recorder)
        self.recorder.event("failed", error=safe_text(message), exit=1)
        self.recorder.state(force=True, status="failed", error=safe_text(message))

    def interrupted(self, received: signal.Signals) -> int:
        """The preparation was ended by a signal; the exit code."""
        code = EXIT_CODES[received]
        self.recorder.event("stopped", by=received.name, exit=code, step=self.before.get("step", 0))
        self.recorder.state(force=True, status="stopped")
        return code

    def refuse(self, error: UserError) -> None:
        """The run cannot start: what was there before stays as it was."""
        self.recorder.event("warning", kind="refused", message=safe_text(" ".join(error.lines)))
        if self.before.get("step") and self.writes:
            self.run.write_state(self.before)
        else:
            self.fail(" ".join(error.lines))

    def close(self) -> None:
        """Let go of loader workers and files."""
        trainer = getattr(self, "trainer", None)
        if trainer is not None:
            trainer.train.close()
            trainer.val.close()
        self.recorder.close()

    def _write_description(self) -> None:
        try:
            description.write(self.run, self.opened, self.chosen)
            self._write_preset()  # whoever started the run may not know the builders' defaults
        except OSError as error:
            raise _in_the_way(self.run, error) from error

    def _tell_weights(self, loaded: Loaded) -> None:
        """What the model starts from, as an event with everything that was not loaded, and why."""
        print(f"weights: {loaded.sentence()}", flush=True)
        left = {name: dict(list(getattr(loaded, name).items())[:TOLD]) for name in ("new", "unused")}
        facts = {"source": loaded.source, "message": loaded.sentence(), "loaded": len(loaded.loaded)}
        self.recorder.event("weights", **facts, **left)

    def _remember(self, training: Training) -> None:
        self.preset = self.preset.model_copy(update={"training": training})
        if self.writes:
            self._write_preset()

    def _write_preset(self) -> None:
        """Every default spelled out."""
        write_atomic(self.run.preset_path, dump(self.preset).encode())

    def _report(self, message: str) -> None:
        print(message, flush=True)
        self.recorder.event("progress", message=safe_text(message))

    def _warn(self, message: str) -> None:
        print(f"warning: {message}", flush=True)
        self.recorder.event("warning", kind="run", message=safe_text(message))


def run(run: RunDir, *, on_ready: Any = lambda: None) -> int:
    """Train or resume a run in this process until it ends.

    Args:
        on_ready: called when nothing of the user's doing can keep the training from starting.

    Returns:
        0 done, 1 the training failed, 130 or 143 interrupted and saved.

    Raises:
        RunHeld: another process trains this run.
        UserError: the run cannot start; nothing was trained.
    """
    run = RunDir(run.path.absolute())
    group = join()
    with run.lock() if group is None or group.first else nullcontext():
        go_to(folder_named(read_json(run.run_json_path).get("cwd")))
        trained = CheckpointFolder(run.checkpoints_path).all()  # else nothing depends on the code as it was
        with kept_code.using(run) if trained else nullcontext():
            code = _run(run, on_ready, group)
    if code == 0:
        leave()
    return code


def _run(run: RunDir, on_ready: Any, group: Group | None) -> int:
    flags = Flags()
    worker = _open(run, flags, group)
    try:
        flags.install()
        worker.prepare()
        worker.resume()
        flags.training = True
        on_ready()
        return _train(worker)
    except Interrupted as interrupted:
        return worker.interrupted(interrupted.received)
    except UserError as error:
        worker.refuse(error)
        raise
    except BaseException as error:  # a bug, ours or in the user's code; sys.exit(0) there is no success
        traceback.print_exc()
        lost = group is not None and is_lost(error)
        worker.fail(gone(run) if lost else f"{type(error).__name__}: {error}")
        return 1
    finally:
        worker.close()


def _open(run: RunDir, flags: Flags, group: Group | None) -> Worker:
    try:
        return Worker(run, flags, group)
    except OSError as error:
        raise _in_the_way(run, error) from error


def _in_the_way(run: RunDir, error: OSError) -> UserError:
    return UserError(
        f"run {run.name} cannot be written: {error.strerror} ({error.filename or run.path}); "
        "move what is in the way"
    )


def _train(worker: Worker) -> int:
    """From the first step on, what the user can mend is a failed training too, not a refused one."""
    try:
        return worker.train().exit_code
    except (RuntimeError, MemoryError) as error:
        lost_loader = loader_failure(error)  # torch reports a killed loader worker from wherever it stands
        if lost_loader is None and not is_out_of_memory(error):
            raise
        traceback.print_exc()
        worker.fail(str(lost_loader or OUT_OF_MEMORY))
    except UserError as error:
        worker.fail(" ".join(error.lines))
    return 1


def main(arguments: list[str] | None = None) -> int:
    """The detached worker's entry: what goes wrong before the first step reaches the launcher."""
    (path,) = sys.argv[1:] if arguments is None else arguments
    protect_output()
    try:
        return run(RunDir.open(Path(path)), on_ready=report_ready)
    except RunHeld as error:
        report_errors(error.lines)
        return HELD
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        report_errors(error.lines)
        return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
