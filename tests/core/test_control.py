from __future__ import annotations

from pathlib import Path

import pytest

from dlcore import control
from dlcore.control import COMMANDS, Command, ControlReader, parse, send
from dlcore.errors import UserError


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("pause", Command("pause")),
        (" stop ", Command("stop")),
        ("lr=1e-4", Command("lr", 1e-4)),
        ("lr = 3", Command("lr", 3.0)),
        ("epochs=40", Command("epochs", 40)),
    ],
)
def test_commands_as_typed(text: str, command: Command) -> None:
    assert parse(text) == command


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("puase", "did you mean 'pause'"),
        ("", "there are pause, continue"),
        ("lr", "needs a finite number above 0"),
        ("lr=", "must be a number"),
        ("lr=fast", "must be a number, got 'fast'"),
        ("lr=-1", "above 0"),
        ("lr=nan", "finite"),
        ("lr=inf", "finite"),
        ("epochs=1.5", "whole number"),
        ("epochs=0", "at least 1"),
        ("pause=1", "takes no value"),
        ("\x1b[2J", r"\\x1b"),
    ],
)
def test_bad_commands_are_said_in_one_line(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        parse(text)
    (line,) = caught.value.lines
    assert line.isprintable()


def test_sent_commands_arrive_in_order_with_their_ids(tmp_path: Path) -> None:
    reader = ControlReader(tmp_path / "control.jsonl")
    ids = [send(tmp_path, "pause"), send(tmp_path, Command("lr", 0.5))]
    first, second = reader.poll()
    assert [first.id, second.id] == ids
    assert (first.command, second.command, second.value) == ("pause", "lr", 0.5)
    assert reader.poll() == []


def test_every_command_survives_the_way(tmp_path: Path) -> None:
    values = {"lr": 0.1, "epochs": 3}
    reader = ControlReader(tmp_path / "control.jsonl")
    for name in COMMANDS:
        send(tmp_path, Command(name, values.get(name)))
    assert [command.command for command in reader.poll()] == list(COMMANDS)


@pytest.mark.parametrize("torn", [b"", b'{"comm'])
def test_a_resumed_run_ignores_what_was_asked_before(tmp_path: Path, torn: bytes) -> None:
    send(tmp_path, "stop")
    path = tmp_path / "control.jsonl"
    path.write_bytes(path.read_bytes() + torn)
    reader = ControlReader(path, start_at_end=True)
    assert reader.poll() == []
    send(tmp_path, "save")
    assert [command.command for command in reader.poll()] == ["save"]
    assert [command.command for command in ControlReader(path, start_at_end=False).poll()] == ["stop", "save"]


def test_damaged_and_hostile_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "control.jsonl"
    reader = ControlReader(path)
    hostile = [
        b"\xff",
        b"[" * 4000,
        b"x" * 20_000,
        b'{"command":"rm"}',
        b'{"command":"lr","value":"1"}',
        b'{"command":"lr","value":NaN}',
        b'{"command":"epochs","value":true}',
        b'{"command":["stop"]}',
        b'{"command":"lr","value":1' + b"0" * 400 + b"}",
    ]
    path.write_bytes(b"\n".join(hostile) + b'\n{"command":"save","id":"\\u001b[2J","time":"now"}\n')
    (command,) = reader.poll()
    assert command == Command("save", None, "\\x1b[2J", 0.0)
    assert reader.damaged == len(hostile)


def test_a_flood_comes_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "control.jsonl"
    reader = ControlReader(path, start_at_end=False)
    path.write_bytes(b'{"command":"save"}\n' * 20_000)
    portions = [len(part) for part in iter(reader.poll, [])]
    assert sum(portions) == 20_000
    assert max(portions) < 5_000


def test_nothing_new_costs_one_stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send(tmp_path, "pause")
    reader = ControlReader(tmp_path / "control.jsonl", start_at_end=False)
    reader.poll()
    monkeypatch.setattr(control.os, "open", None)
    assert reader.poll() == []


def test_sending_into_a_missing_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot tell .*missing"):
        send(tmp_path / "missing", "pause")
