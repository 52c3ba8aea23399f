"""A preset: TOML in and out, checked as a whole before anything runs.

`load` tells everything that is wrong at once, a line each that names file, line and key. Precedence is
override > TOML > default. A preset loaded with builders spells out every default, and `dump` writes it so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcore.errors import UserError
from dlcore.preset.check import PresetError, check
from dlcore.preset.sections import (
    SECTIONS,
    About,
    Checkpoint,
    Inspection,
    Named,
    Preset,
    Section,
    Suggestion,
    Training,
    section_fields,
)
from dlcore.preset.text import read_text
from dlcore.preset.toml import to_toml
from dlcore.problems import nearest, show
from dlcore.registry import DATA, MODELS, OPTIMIZERS, SCHEDULERS, TASKS, Registry
from dlcore.text_safety import safe_text

__all__ = [
    "About",
    "Checkpoint",
    "Inspection",
    "Named",
    "Preset",
    "PresetError",
    "Suggestion",
    "Training",
    "dump",
    "find",
    "load",
    "loads",
    "pitfalls",
    "section_fields",
    "shipped",
]

PITFALLS = "pitfalls"
"""Folder, beside the others, of presets that are wrong on purpose."""

REGISTRIES: Mapping[str, Registry] = {
    "data": DATA,
    "model": MODELS,
    "task": TASKS,
    "optimizer": OPTIMIZERS,
    "scheduler": SCHEDULERS,
}


def load(
    source: str | Path,
    overrides: Sequence[str] = (),
    *,
    builders: bool,
    registries: Mapping[str, Registry] = REGISTRIES,
) -> Preset:
    """A preset by the name of a shipped one, or by path.

    Args:
        overrides: ``section.key=value`` each.
        builders: also hold the sections that name a builder to its signature, and fill in its defaults;
            imports torch.
        registries: by section.

    Raises:
        PresetError: with everything that is wrong.
    """
    path = source if isinstance(source, Path) else _path_or_find(source)
    label = safe_text(path.name if str(source) == path.stem else source, limit=200)
    try:
        text = read_text(path, label)
    except UserError as error:
        raise PresetError(error.lines) from error
    base = path.absolute().parent
    return check(text, label, overrides, base, registries if builders else None).with_origin(
        str(source), base
    )


def loads(
    text: str,
    source: str,
    overrides: Sequence[str] = (),
    *,
    builders: bool,
    base: Path | None = None,
    registries: Mapping[str, Registry] = REGISTRIES,
) -> Preset:
    """As `load`, from text; ``source`` is what errors call it."""
    label = safe_text(source, limit=200)
    return check(text, label, overrides, base, registries if builders else None).with_origin(source, base)


def dump(preset: Preset) -> str:
    """TOML that loads equal."""
    return to_toml({section: _flat(getattr(preset, section)) for section in SECTIONS})


def _flat(section: Section) -> dict[str, Any]:
    values = section.model_dump(mode="json", by_alias=True)
    return {"name": values["name"], **values["options"]} if isinstance(section, Named) else values


def shipped() -> list[Path]:
    """The presets that come with the program, sorted by name, which is the file's stem; without `pitfalls`."""
    folder = _folder()
    files = (path for path in folder.rglob("*.toml") if path.parent != folder / PITFALLS)
    return sorted(files, key=lambda path: path.stem)


def pitfalls() -> list[Path]:
    """Presets that come with the program and have one fault each, for the doctor to name; sorted by name."""
    return sorted((_folder() / PITFALLS).glob("*.toml"), key=lambda path: path.stem)


def _folder() -> Path:
    package = Path(__file__).parent.parent
    installed = package / "_presets"
    return installed if installed.is_dir() else package.parent / "presets"


def find(name: str) -> Path:
    """The file of a shipped preset.

    Raises:
        PresetError: there is no such name; says the nearest.
    """
    files = {path.stem: path for path in (*shipped(), *pitfalls())}
    if name in files:
        return files[name]
    close = nearest(name, files)
    hint = f"; did you mean '{close}'?" if close else ""
    raise PresetError(
        f"there is no preset {show(name)}{hint} ('dltui presets' lists them, a path ends in .toml)"
    )


def _path_or_find(source: str) -> Path:
    """What names a folder or ends in .toml is a path, unless only a shipped preset is called so."""
    name = source.removesuffix(".toml")
    if os.sep not in source and name == source:
        return find(name)
    path = Path(os.path.expanduser(source))  # noqa: PTH111  (Path's own raises where a user has no home)
    shipped_too = os.sep not in source and name in (each.stem for each in (*shipped(), *pitfalls()))
    return find(name) if shipped_too and not os.path.lexists(path) else path
