"""Files that a preset names: where they are looked for, and what is said of one that is nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlcore.data.files import resolve_path
from dlcore.data.spec import DataContext
from dlcore.errors import NotFoundError


def context(base: Path | None) -> DataContext:
    return DataContext(folder=Path(), base=base, seed=0, report=lambda _: None)


def test_the_working_folder_goes_before_the_preset_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "presets"
    base.mkdir()
    monkeypatch.chdir(tmp_path)
    (base / "table.csv").touch()
    assert resolve_path("table.csv", context(base)) == base / "table.csv"
    (tmp_path / "table.csv").touch()
    assert resolve_path("table.csv", context(base)) == tmp_path / "table.csv"


@pytest.mark.parametrize("base", [None, ".", "presets/.."])
def test_a_folder_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str | None) -> None:
    (tmp_path / "presets").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError) as raised:
        resolve_path("table.csv", context(Path(base) if base else None))
    assert raised.value.lines == (f"no file or folder table.csv in {tmp_path}; set data.path to where it is",)
