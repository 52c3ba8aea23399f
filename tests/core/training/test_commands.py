"""What a viewer asks for is done at the next step, answered by an event of its own, and survives a resume."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlcore.control import COMMANDS, send
from dlcore.inspection.looking import look_inside
from dlcore.preset import Training
from dlcore.series import read
from dlcore.training import commands as commands_module
from dlcore.training.progress import restore
from dlcore.training.schedules import Linear
from dlcore.training.trainer import Trainer
from tests.core.training.small import (
    Sends,
    assert_same,
    events,
    final_state,
    make_trainer,
    newest,
    the_event,
)

VALUES = {"lr": "lr=0.25", "epochs": "epochs=4"}


@pytest.fixture(autouse=True)
def _pauses_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_module.time, "sleep", lambda seconds: None)


def sent(trainer: Trainer) -> dict[str, str]:
    assert isinstance(trainer.flags, Sends)
    return trainer.flags.ids


def continue_when_paused(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, command: str = "continue"
) -> list[int]:
    """Sends a command as soon as the loop waits; returns the steps at which it waited."""
    waited: list[int] = []

    def sleep(seconds: float) -> None:
        waited.append(trainer.progress.step)
        send(trainer.recorder.run.path, command)

    monkeypatch.setattr(commands_module.time, "sleep", sleep)
    return waited


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_answered_once_by_its_own_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text = VALUES.get(name, name)
    trainer = make_trainer(tmp_path, sends={3: text})
    continue_when_paused(trainer, monkeypatch)
    trainer.fit()
    (answer,) = [event for event in events(trainer, "command") if event["id"] == sent(trainer)[text]]
    assert answer["ok"] is True
    assert answer["command"] == name
    assert answer["message"]


def test_what_was_asked_before_the_worker_came_is_not_obeyed(tmp_path: Path) -> None:
    make_trainer(tmp_path, epochs=1)
    send(tmp_path / "run", "stop")
    trainer = make_trainer(tmp_path, epochs=1)
    assert trainer.fit().reason == "epochs"
    assert events(trainer, "command") == []


def test_several_at_once_are_obeyed_in_their_order(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, epochs=1)
    asked = [send(tmp_path / "run", text) for text in ("epochs=2", "lr=0.25", "save", "epochs=3")]
    trainer.fit()
    assert [event["id"] for event in events(trainer, "command")] == asked
    assert trainer.progress.epoch == 3


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, sends={3: "save"})
    lines = [
        b"\xff\xfe", b"[" * 4000, b"x" * 5000, b'{"command": "explode"}', b'{"command": "lr", "value": NaN}',
        b'{"command": "lr", "value": -1}', b'{"command": "epochs", "value": true}', b"{}", b"",
    ]  # fmt: skip
    trainer.recorder.run.control_path.write_bytes(b"\n".join(lines) + b"\n")
    assert trainer.fit().reason == "epochs"
    assert the_event(trainer, "command")["command"] == "save"


# lr


def test_a_new_learning_rate_takes_effect_with_the_next_step(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, sends={4: "lr=0.25"}, record_seconds=1e-9)
    trainer.fit()
    rates = read(trainer.recorder.run.metrics_path, "train/lr")
    assert rates.step.tolist() == list(range(1, 16))
    assert rates.value[:4].tolist() == [0.001] * 4
    assert rates.value[4:] == pytest.approx([0.25] * 11)


def test_a_schedule_goes_on_from_the_new_learning_rate(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, sends={4: "lr=0.1"}, schedule=Linear(), record_seconds=1e-9)
    trainer.fit()
    rates = read(trainer.recorder.run.metrics_path, "train/lr").value
    assert rates[:4] == pytest.approx(0.001 * np.arange(15, 11, -1) / 15)
    assert rates[4:] == pytest.approx(0.1 * np.arange(11, 0, -1) / 11)


def test_a_learning_rate_of_zero_cannot_be_scaled(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, sends={4: "lr=0.1"})
    trainer.schedule.factor = lambda step, steps, per_epoch: float(step < 4)  # type: ignore[method-assign]
    trainer.fit()
    answer = the_event(trainer, "command")
    assert answer["ok"] is False
    assert "schedule" in answer["message"]


def test_a_new_learning_rate_survives_a_resume(tmp_path: Path) -> None:
    first = make_trainer(tmp_path, sends={4: "lr=0.05", 8: "stop"})
    assert first.fit().reason == "stopped"
    second = make_trainer(tmp_path)
    restore(second, newest(second))
    second.fit()
    whole = make_trainer(tmp_path, name="whole", sends={4: "lr=0.05"})
    whole.fit()
    assert_same(final_state(second), final_state(whole))
    untouched = make_trainer(tmp_path, name="untouched")
    untouched.fit()
    assert not torch.equal(final_state(whole)["model.0.weight"], final_state(untouched)["model.0.weight"])


# epochs


def test_more_epochs_take_effect_and_are_remembered(tmp_path: Path) -> None:
    remembered: list[Training] = []
    trainer = make_trainer(tmp_path, sends={4: "epochs=5"}, remember=remembered.append)
    trainer.fit()
    assert trainer.progress.epoch == 5
    assert [section.epochs for section in remembered] == [5]
    assert trainer.recorder.summary["epochs"] == 5


def test_fewer_epochs_than_finished_are_refused(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, sends={11: "epochs=2"})
    trainer.fit()
    answer = the_event(trainer, "command")
    assert (answer["ok"], trainer.progress.epoch) == (False, 3)
    assert "above the 2 finished ones" in answer["message"]


def test_the_epoch_under_way_can_be_made_the_last(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, sends={7: "epochs=2"})
    assert trainer.fit().reason == "epochs"
    assert trainer.progress.epoch == 2


# pause, continue, stop


def test_a_pause_waits_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(tmp_path, sends={7: "pause"})
    statuses: list[str] = []
    waited: list[int] = []

    def sleep(seconds: float) -> None:
        waited.append(trainer.progress.step)
        statuses.append(json.loads(trainer.recorder.run.state_path.read_text())["status"])
        if len(waited) == 5:
            send(trainer.recorder.run.path, "continue")

    monkeypatch.setattr(commands_module.time, "sleep", sleep)
    trainer.fit()
    assert waited == [7] * 5
    assert set(statuses) == {"paused"}
    assert the_event(trainer, "paused")["step"] == the_event(trainer, "continued")["step"] == 7
    assert trainer.recorder.summary["status"] == "running"
    whole = make_trainer(tmp_path, name="whole")
    whole.fit()
    assert_same(final_state(trainer), final_state(whole))


def test_a_paused_training_obeys_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(tmp_path, sends={7: "pause"})
    continue_when_paused(trainer, monkeypatch, "stop")
    assert trainer.fit().exit_code == 130
    assert newest(trainer).manifest["step"] == 7
    again = make_trainer(tmp_path)
    restore(again, newest(again))
    assert again.progress.paused is False
    assert again.fit().reason == "epochs"


def test_what_is_saved_in_a_pause_goes_on_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(tmp_path, sends={12: "pause"})
    asked = iter(["save", "continue"])
    monkeypatch.setattr(
        commands_module.time, "sleep", lambda seconds: send(trainer.recorder.run.path, next(asked))
    )
    trainer.fit()
    (saved,) = [c for c in trainer.saver.folder.all() if c.manifest["step"] == 12]
    again = make_trainer(tmp_path)
    restore(again, saved)
    assert again.progress.paused is False
    assert saved.trainer()["progress"]["paused"] is True


def test_stop_saves_where_it_stands(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, sends={8: "stop"})
    outcome = trainer.fit()
    assert (outcome.reason, outcome.exit_code, trainer.progress.step) == ("stopped", 130, 8)
    saved = newest(trainer).manifest
    assert (saved["step"], saved["epoch"], saved["batch"]) == (8, 1, 3)


# save, evaluate, inspect


def test_save_saves_between_epochs(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, sends={3: "save"})
    trainer.fit()
    assert [event["step"] for event in events(trainer, "checkpoint")] == [3, 5, 10, 15]


def test_evaluate_answers_with_figures_and_draws_them(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, sends={3: "evaluate"})
    trainer.fit()
    assert "val/loss 1." in the_event(trainer, "command")["message"]
    assert read(trainer.recorder.run.metrics_path, "val/loss").step.tolist() == [3, 5, 10, 15]


def test_inspect_names_what_it_wrote(tmp_path: Path) -> None:
    trainer = make_trainer(
        tmp_path, sends={3: "inspect"}, inspect=lambda trainer, why: f"i/{trainer.progress.step}.json"
    )
    trainer.fit()
    assert the_event(trainer, "command")["message"] == "Inspection written: i/3.json."


def look(trainer: Trainer, why: str) -> str:
    return str(len(look_inside(trainer.task, next(iter(trainer.val.epoch(0)))).facts["layers"]))


@pytest.mark.parametrize("text", ["save", "evaluate", "inspect"])
def test_looking_changes_nothing(tmp_path: Path, text: str) -> None:
    options: dict[str, Any] = {"ema": 0.9, "inspect": look}
    looked = make_trainer(tmp_path, sends={4: text, 6: text, 12: text}, **options)
    looked.fit()
    assert [event["ok"] for event in events(looked, "command")] == [True] * 3
    whole = make_trainer(tmp_path, name="whole", **options)
    whole.fit()
    assert_same(final_state(looked), final_state(whole))


def broken(trainer: Trainer, why: str) -> str:
    raise OSError(28, "No space left on device", "inspections/step.json")


def test_a_command_that_fails_says_so_and_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = make_trainer(tmp_path, sends={3: "inspect"}, inspect=broken)
    assert trainer.fit().reason == "epochs"
    answer = the_event(trainer, "command")
    assert answer["ok"] is False
    assert "No space left on device" in answer["message"]
    assert "Traceback" in capsys.readouterr().err


def test_an_inspection_by_itself_that_fails_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = make_trainer(tmp_path, inspect=broken, inspection={"every_epochs": 2})
    assert trainer.fit().reason == "epochs"
    assert "No space left" in the_event(trainer, "warning")["message"]
    capsys.readouterr()


def test_nothing_asked_costs_one_look_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(tmp_path, record_seconds=1000.0)
    looks: list[float] = []
    poll = trainer.control.poll
    monkeypatch.setattr(trainer.control, "poll", lambda: looks.append(time.time()) or poll())
    trainer.fit()
    assert len(looks) == 3  # at the ends of the epochs
