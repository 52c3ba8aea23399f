"""What is remembered, and that losing it never hurts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tui.preferences import Preferences, default_path


def test_remembers_across_sessions(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "preferences.json"
    Preferences(path).set("layout", {"order": ["curves", "log"]})
    assert Preferences(path).get("layout", {}) == {"order": ["curves", "log"]}


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe", b'{"a":' * 50_000, b'{"theme": 3}'])
def test_a_damaged_file_means_the_defaults(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "preferences.json"
    path.write_bytes(damage)
    preferences = Preferences(path)
    assert preferences.get("theme", "calm") == "calm"
    preferences.set("theme", "loud")
    assert Preferences(path).get("theme", "calm") == "loud"


def test_a_value_of_another_type_counts_as_missing(tmp_path: Path) -> None:
    preferences = Preferences(None)
    preferences.set("smooth", "much")
    assert preferences.get("smooth", 0.6) == 0.6


def test_an_unwritable_folder_is_remembered_in_memory_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    preferences = Preferences(tmp_path / "file" / "preferences.json")
    preferences.set("theme", "loud")
    assert preferences.get("theme", "calm") == "loud"


@pytest.mark.timeout(20)  # a pipe that is opened waits for ever
def test_what_is_no_regular_file_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "preferences.json"
    os.mkfifo(pipe)
    preferences = Preferences(pipe)
    preferences.set("theme", "loud")
    assert preferences.get("theme", "calm") == "loud"
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "preferences.json"
    link.symlink_to(tmp_path / "dotfiles" / "dltui.json")
    Preferences(link).set("theme", "loud")
    assert link.is_symlink()
    assert Preferences(tmp_path / "dotfiles" / "dltui.json").get("theme", "calm") == "loud"


def test_the_place_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DLTUI_CONFIG", str(tmp_path / "mine.json"))
    assert default_path() == tmp_path / "mine.json"
    monkeypatch.delenv("DLTUI_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path().is_relative_to(tmp_path)
    assert os.fspath(default_path()).endswith("preferences.json")
