"""The preset that the New-run screen sets up: what was chosen, section by section, and nothing else.

Values that were not chosen are not here: engine and worker fill in defaults. Nothing in here is checked.
"""

from __future__ import annotations

import copy
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcore.preset.toml import to_toml
from tui.catalogue import NAMED
from tui.field_text import read_toml, toml_value

Values = dict[str, dict[str, Any]]

_ORDER = ("about", "data", "model", "task", "optimizer", "scheduler", "training")

BLANK: Values = {"data": {"name": "digits"}, "model": {"name": "cnn"}}
"""What a new run begins with when no preset is named: trains in seconds and needs no download."""


class Draft:
    """Chosen values.

    Args:
        values: of the preset that it begins from.
        source: that preset as typed after ``dltui run``; "" for none.
        base: folder that relative paths are taken from after the working folder.
        name: of the preset where its file is called otherwise, as that of a run is.
    """

    def __init__(
        self,
        values: Mapping[str, Mapping[str, Any]],
        source: str = "",
        base: Path | None = None,
        name: str = "",
    ) -> None:
        self.source = source
        self.name = name
        self.base = base
        self.values: Values = {section: copy.deepcopy(dict(table)) for section, table in values.items()}
        self.begun: Values = copy.deepcopy(self.values)
        self._left: dict[tuple[str, str], dict[str, Any]] = {}  # options of builders that were chosen before

    @property
    def changed(self) -> bool:
        """Whether it is not the preset any more that it began as."""
        return {k: v for k, v in self.values.items() if v} != {k: v for k, v in self.begun.items() if v}

    @property
    def title(self) -> str:
        """A name for the run."""
        if self.name or self.source:
            return self.name or Path(self.source).stem
        data, model = (str(self.get(section, "name") or "") for section in ("data", "model"))
        return "-".join(Path(name.partition(".py:")[0]).stem for name in (data, model) if name)

    def get(self, section: str, key: str) -> Any:
        """A chosen value; None where none was."""
        return self.values.get(section, {}).get(key)

    def set(self, section: str, key: str, value: Any, default: Any = None) -> None:
        """Chooses a value; None, or the default where the preset does not spell it out, unchooses."""
        spelt_out = key in self.begun.get(section, {}) and self._as_begun(section)
        if value is None and spelt_out:
            value = default
        if value is None or (_same(value, default) and not spelt_out):
            self.values.get(section, {}).pop(key, None)
        else:
            self.values.setdefault(section, {})[key] = value

    def mend(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Chooses several values at once."""
        for section, table in values.items():
            self.values[section] = self.values.get(section, {}) | copy.deepcopy(dict(table))

    def choose(self, section: str, name: str, unnamed: str = "") -> None:
        """Names another builder; its options come back when it was chosen before.

        Args:
            unnamed: what the section stands for when it names nothing.
        """
        table = self.values.get(section, {})
        before = str(table.get("name", unnamed))
        if before == name:
            return
        self._left[section, before] = {key: value for key, value in table.items() if key != "name"}
        needed = name != unnamed or "name" in self.begun.get(section, {})
        self.values[section] = ({"name": name} if needed else {}) | self._left.get((section, name), {})

    def toml(self) -> str:
        """The preset, nothing filled in."""
        order = {section: place for place, section in enumerate(_ORDER)}
        tables = sorted(self.values.items(), key=lambda item: order.get(item[0], len(order)))
        return to_toml({section: table for section, table in tables if table})

    def overrides(self) -> list[str]:
        """What ``--set`` must be told to get here from the preset that it began as."""
        found: list[str] = []
        for section, table in self.values.items():
            begun = self.begun.get(section, {}) if self._as_begun(section) else {}
            if begun.get("name") == table.get("name"):
                changes = {key: value for key, value in table.items() if not _same(begun.get(key), value)}
            else:
                changes = dict(table)
            found += [f"{section}.{key}={_written(value)}" for key, value in changes.items()]
        return found

    def command(self) -> str:
        """What to type in a shell for the same run; where no preset is named, for the file it is saved as."""
        taken_out = any(
            self._as_begun(section) and set(begun) - set(self.values.get(section, {}))
            for section, begun in self.begun.items()
        )
        if not self.source or taken_out:  # no override takes a key out
            return f"dltui run {shlex.quote(self.title + '.toml')}"
        sets = [f"--set {shlex.quote(text)}" for text in self.overrides()]
        return " ".join(["dltui run", shlex.quote(self.source), *sets])

    def saved(self, path: Path) -> None:
        """Goes on from the file that it has been written to."""
        self.source, self.base, self.name = str(path), path.absolute().parent, ""
        self.begun = copy.deepcopy(self.values)

    def _as_begun(self, section: str) -> bool:
        """Whether the section still names the builder that it began with."""
        begun = self.begun.get(section, {})
        return section not in NAMED or begun.get("name") == self.values.get(section, {}).get("name")


def _same(one: Any, other: Any) -> bool:
    """Equal, and true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _written(value: Any) -> str:
    """A value behind ``--set key=``; text that is no TOML value needs no quotes."""
    bare = isinstance(value, str) and value and value == value.strip() and read_toml(value) is None
    return str(value) if bare else toml_value(value)
