"""Whatever names, data and exceptions say: a terminal shows it and never obeys it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
from collections.abc import Callable
from pathlib import Path

import pytest

from dlcore.run_dir import RunDir
from tests.end_to_end.processes import Server, await_event, toy

TITLE = "\x1b]0;PWNED\x07"
PAYLOAD = f"a{TITLE}b\x1b[2Jc\x9b31md\u202ee\rf\x08g\x7fh\u2028i\x00j[bold]k"
IN_A_FILE_NAME = PAYLOAD.replace("\x00", "").replace("/", "")
CONTROLS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def assert_harmless(*texts: str) -> None:
    for text in texts:
        assert [match.group() for match in CONTROLS.finditer(text)] == [], text


def assert_verbs_are_harmless(server: Server, runs: Path, name: str) -> str:
    """What the listing verbs print about a run, all of it checked."""
    said = ""
    for words in (["ls"], ["ls", "--json"], ["show", name], ["show", name, "--json"]):
        code, out, errors = server.dltui(*words, "--runs", runs)
        assert code == 0, errors
        assert_harmless(out, errors)
        said += out
    return said


def on_a_terminal(server: Server, *arguments: str | Path) -> bytes:
    """Everything that a command writes to a terminal."""
    ours, its = pty.openpty()
    process = server.start(*arguments, terminal=os.ttyname(its), TERM="xterm-256color")
    written, ended = b"", None
    while ended is None or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 0.05)[0]:
            written += os.read(ours, 65536)
        elif ended is None:
            ended = server.ask({"wait": process.pid, "seconds": 0})
    os.close(its)
    os.close(ours)
    return written


def assert_not_obeyed(written: bytes) -> None:
    """A painted terminal is full of escape sequences; none of them is the payload's."""
    assert written
    for part in (
        b"\x1b]0;PWNED",
        b"\x1b[2Jc",
        "\x9b31m".encode(),
        "\u202e".encode(),
        b"\x07",
        b"\x08g",
        b"\x7fh",
    ):
        assert part not in written, part


# What the user's own files say


def with_a_hostile_table(folder: Path) -> Path:
    text = IN_A_FILE_NAME.replace("\r", "")
    kinds = [text, "plain"]
    rows = [f"{index % 7},{index % 5},{index % 3},{kinds[index % 2]}" for index in range(80)]
    header = f'one{TITLE},"{text}",three\u202e,kind'
    (folder / "table.csv").write_text("\n".join([header, *rows]), "utf-8", newline="")
    return own(folder, '"moons"\nsamples = 300', '"csv"\npath = "table.csv"\nheader = "yes"')


MODEL = """
from torch import nn

class Net(nn.Linear):
    '''Fails.'''

    def __init__(self, spec):
        super().__init__(2, spec.num_outputs)

    def forward(self, inputs):
        raise {error}

Net.__name__ = Net.__qualname__ = {name!r}
"""


def with_a_hostile_error(folder: Path) -> Path:
    (folder / "net.py").write_text(MODEL.format(error=f"RuntimeError({PAYLOAD!r} * 3)", name="Net" + TITLE))
    old = '"mlp"\nwidths = [16, 16]\ndropout = 0.2\nbatch_norm = true'
    return own(folder, old, '"net.py:Net"')


def with_a_hostile_error_at_import(folder: Path) -> Path:
    (folder / "net.py").write_text(f"raise KeyError({PAYLOAD!r})")
    old = '"mlp"\nwidths = [16, 16]\ndropout = 0.2\nbatch_norm = true'
    return own(folder, old, '"net.py:Net"')


def with_a_hostile_file_name(folder: Path) -> Path:
    return toy(folder, epochs=2).rename(folder / f"{IN_A_FILE_NAME}.toml")


def with_hostile_keys(folder: Path) -> Path:
    path = toy(folder)
    quoted = json.dumps(PAYLOAD)
    path.write_text(path.read_text() + f"{quoted} = 3\n[{quoted}]\n{quoted} = {quoted}\n")
    return path


def with_hostile_about(folder: Path) -> Path:
    path = toy(folder, epochs=2)
    quoted = json.dumps(PAYLOAD)
    path.write_text(path.read_text() + f"[about]\ntitle = {quoted}\nsummary = {quoted}\n")
    return path


def own(folder: Path, old: str, new: str) -> Path:
    path = toy(folder, epochs=2)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


PRESETS: dict[str, tuple[Callable[[Path], Path], int]] = {
    "table": (with_a_hostile_table, 0),
    "error": (with_a_hostile_error, 1),
    "error at import": (with_a_hostile_error_at_import, 2),
    "file name": (with_a_hostile_file_name, 0),
    "keys": (with_hostile_keys, 2),
    "about": (with_hostile_about, 0),
}


@pytest.mark.parametrize("kind", PRESETS)
def test_a_training_prints_nothing_that_is_obeyed(
    server: Server, runs: Path, tmp_path: Path, kind: str
) -> None:
    make, expected = PRESETS[kind]
    preset = make(tmp_path)
    code, out, errors = server.dltui("run", preset, "--runs", runs, "--name", "x", folder=tmp_path)
    assert code == expected, (out, errors)
    assert_harmless(out, errors)
    assert out + errors
    if code != 2:
        assert_verbs_are_harmless(server, runs, "x")
    written = on_a_terminal(server, "run", preset, "--runs", runs, "--name", "y")
    assert_not_obeyed(written)


def test_class_names_are_still_there_to_be_read(server: Server, runs: Path, tmp_path: Path) -> None:
    assert server.dltui("check", with_a_hostile_table(tmp_path), folder=tmp_path)[0] == 0
    _, out, errors = server.dltui("check", tmp_path / "toy.toml", "--json", folder=tmp_path)
    assert_harmless(out, errors)
    assert "PWNED" in json.dumps(json.loads(out)["data"]["class_names"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "{payload}"],
        ["run", "digits-cnn", "--set", "{payload}=3"],
        ["run", "digits-cnn", "--set", "model.{payload}={payload}"],
        ["resume", "{payload}"],
        ["show", "{payload}"],
        ["tell", "{payload}"],
        ["tell", "x", "lr={payload}"],
        ["rm", "{payload}"],
        ["models", "{payload}"],
        ["data", "{payload}"],
        ["ls", "--runs", "{payload}"],
        ["{payload}"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_error_messages_repeat_nothing_that_is_obeyed(
    server: Server, tmp_path: Path, arguments: list[str]
) -> None:
    given = [argument.format(payload=IN_A_FILE_NAME) for argument in arguments]
    _, out, errors = server.dltui(*given, folder=tmp_path)
    assert_harmless(out, errors)
    assert out + errors


@pytest.mark.parametrize("name", [PAYLOAD.replace("\x00", ""), TITLE + "x", "..", "../../x", "/etc/x", "a/b"])
def test_a_hostile_name_becomes_a_slug_in_the_runs_folder(
    server: Server, runs: Path, tmp_path: Path, name: str
) -> None:
    code, out, errors = server.dltui("run", toy(tmp_path, epochs=1), "--runs", runs, "--name", name)
    assert_harmless(out, errors)
    made = list(runs.iterdir()) if runs.exists() else []
    if name == "..":
        assert (code, made) == (2, [])
    else:
        assert code == 0, errors
        (path,) = made
        assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name)
    assert {path.name for path in tmp_path.iterdir()} <= {"runs", "toy.toml"}


# What somebody else's run directory says


def hostile(value: object) -> object:
    """The same, with the payload in every text, keys included."""
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()} | {PAYLOAD: PAYLOAD}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return PAYLOAD if isinstance(value, str) else value


KEPT = ("event", "status", "metric")  # or the rest would not be looked at


def spoil(path: Path) -> None:
    """Puts the payload into a JSON or JSON-lines file of a run, wherever a text stands."""
    spoilt = []
    for line in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
        values = json.loads(line)
        kept = {key: values[key] for key in KEPT if key in values}
        spoilt.append(json.dumps({**hostile(values), **kept}))  # type: ignore[dict-item]
    path.write_text("\n".join(spoilt) + "\n")


@pytest.mark.parametrize("end", ["finished", "failed", "died"])
def test_somebody_else_s_run_is_listed_and_shown_harmlessly(
    server: Server, runs: Path, tmp_path: Path, end: str
) -> None:
    make = with_a_hostile_error if end == "failed" else with_a_hostile_table
    process = server.start("run", make(tmp_path), "--runs", runs, "--name", "x", "--quiet", folder=tmp_path)
    run = RunDir(runs / "x")
    if end == "died":
        await_event(run, "started")
        process.signal()
    process.wait()
    for path in (run.state_path, run.run_json_path, run.events_path):
        spoil(path)
    (run.metrics_path / f"train.{IN_A_FILE_NAME}").write_bytes(bytes(240))
    evil = run.path.rename(runs / IN_A_FILE_NAME)
    (runs / f"{IN_A_FILE_NAME}2").mkdir()
    (runs / f"{IN_A_FILE_NAME}3").write_text("")
    said = assert_verbs_are_harmless(server, runs, evil.name)
    assert "PWNED" in said
    for words in (["ls", "--runs", runs], ["show", evil]):
        assert_not_obeyed(on_a_terminal(server, *words))
    code, out, errors = server.dltui("resume", evil, "--quiet")
    assert code in (0, 1, 2)
    assert_harmless(out, errors)
    assert server.dltui("rm", evil, "--yes")[0] == 0
