"""What the New-run screen sets up: values, the command, the TOML."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from dlcore.preset import loads
from dlcore.preset.overrides import apply, parse_override
from tui.draft import BLANK, Draft

BEGUN = {
    "data": {"name": "digits", "val": 0.2},
    "model": {"name": "cnn", "channels": [16, 32]},
    "optimizer": {"lr": 0.01},
}


@pytest.fixture
def draft() -> Draft:
    return Draft(BEGUN, "digits-cnn")


def test_the_preset_that_it_began_as_is_left_alone(draft: Draft) -> None:
    draft.set("model", "channels", [1])
    assert BEGUN["model"] == {"name": "cnn", "channels": [16, 32]}
    assert draft.changed


def test_a_default_is_not_written_down(draft: Draft) -> None:
    draft.set("training", "epochs", 10, 10)
    assert draft.get("training", "epochs") is None and not draft.changed


def test_a_default_is_written_where_the_preset_says_otherwise(draft: Draft) -> None:
    draft.set("optimizer", "lr", None, 0.001)
    assert draft.get("optimizer", "lr") == 0.001


def test_true_is_not_one(draft: Draft) -> None:
    draft.set("model", "x", True, 1)
    assert draft.get("model", "x") is True


def test_going_back_to_where_it_began_is_no_change(draft: Draft) -> None:
    draft.set("training", "epochs", 3, 10)
    draft.set("training", "epochs", None, 10)
    draft.set("model", "channels", [1], [32, 64])
    draft.set("model", "channels", [16, 32], [32, 64])
    assert not draft.changed


def test_another_builder_starts_afresh_and_the_first_ones_options_come_back(draft: Draft) -> None:
    draft.choose("model", "mlp")
    assert draft.values["model"] == {"name": "mlp"}
    draft.set("model", "widths", [8])
    draft.choose("model", "cnn")
    assert draft.values["model"] == {"name": "cnn", "channels": [16, 32]}
    draft.choose("model", "mlp")
    assert draft.values["model"] == {"name": "mlp", "widths": [8]}


def test_what_a_section_stands_for_unnamed_is_not_named(draft: Draft) -> None:
    draft.choose("optimizer", "sgd", "adamw")
    assert draft.values["optimizer"] == {"name": "sgd"}
    draft.choose("optimizer", "adamw", "adamw")
    assert draft.values["optimizer"] == {"lr": 0.01} and not draft.changed


EDITS: list[list[tuple[Any, ...]]] = [
    [],
    [("set", "model", "channels", [8, 8], [32, 64])],
    [("set", "training", "device", "cpu", "auto"), ("set", "training", "compile", True, False)],
    [("choose", "model", "mlp"), ("set", "model", "widths", [4], [256])],
    [("choose", "optimizer", "sgd", "adamw"), ("set", "optimizer", "momentum", 0.9, 0.0)],
    [("choose", "data", "csv"), ("set", "data", "path", 'a b\'s; "c".csv', None)],
    [
        ("choose", "data", "csv"),
        ("set", "data", "target", "-1", -1),
        ("set", "data", "missing", ["", " "], []),
    ],
    [("set", "training", "monitor", "true", "")],
]


@pytest.mark.parametrize("edits", EDITS)
def test_the_command_gives_the_same_preset(draft: Draft, edits: list[tuple[Any, ...]]) -> None:
    for how, *arguments in edits:
        getattr(draft, how)(*arguments)
    words = shlex.split(draft.command())
    assert words[:3] == ["dltui", "run", "digits-cnn"]
    data = {section: dict(table) for section, table in BEGUN.items()}
    apply([parse_override(text) for text in words[4::2]], data)
    assert {k: v for k, v in data.items() if v} == {k: v for k, v in draft.values.items() if v}


def test_a_command_that_cannot_take_a_key_out_names_a_file(draft: Draft) -> None:
    draft.set("model", "channels", None, None)
    assert draft.command() == "dltui run digits-cnn.toml"


def test_a_blank_draft_is_a_preset_that_loads() -> None:
    draft = Draft(BLANK)
    assert loads(draft.toml(), "x", builders=False).model.name == "cnn"
    assert draft.command() == "dltui run digits-cnn.toml"


def test_sections_are_written_in_the_usual_order_however_they_came() -> None:
    draft = Draft({"training": {"epochs": 1}, "model": {"name": "a"}, "zzz": {"x": 1}, "data": {"name": "b"}})
    headings = [line for line in draft.toml().splitlines() if line.startswith("[")]
    assert headings == ["[data]", "[model]", "[training]", "[zzz]"]


def test_own_files_give_the_run_a_name() -> None:
    assert Draft({"data": {"name": "d.py:load"}, "model": {"name": "nets/net.py:Net"}}).title == "d-net"


def test_once_saved_it_goes_on_from_the_file(draft: Draft, tmp_path: Path) -> None:
    draft.set("model", "channels", [8])
    draft.saved(tmp_path / "mine.toml")
    assert not draft.changed and draft.base == tmp_path
    assert draft.command() == f"dltui run {tmp_path / 'mine.toml'}"
