"""What a worker reads of its run before it trains."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dlcore.preset import Preset, loads
from dlcore.preset.text import read_text
from dlcore.run_dir import RunDir


def facts_of(preset: Preset) -> dict[str, Any]:
    """The part of state.json that the preset says."""
    return {
        "status": "starting",
        "preset": preset.source,
        "model": preset.model.name,
        "data": preset.data.name,
        "epochs": preset.training.epochs,
        "error": "",
    }


def go_to(folder: Path | None) -> None:
    """Relative paths in a preset mean the same files when the run is resumed from elsewhere."""
    if folder is not None and folder.is_dir():
        os.chdir(folder)


def load_preset(run: RunDir, source: str, base: object) -> Preset:
    """The run's own preset; relative paths in it are taken from where the original was."""
    return loads(
        read_text(run.preset_path, f"{run.name}/{run.preset_path.name}"),
        source,
        builders=True,
        base=folder_named(base),
    )


def read_json(path: Path) -> dict[str, Any]:
    """What another process wrote; nothing where it is damaged."""
    try:
        value = json.loads(path.read_bytes()) if path.is_file() else {}  # a pipe would never end
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def folder_named(path: object) -> Path | None:
    """A folder that a file names, if it names one."""
    return Path(path) if isinstance(path, str) else None
