"""What the app remembers about a person's taste: theme, layouts. Losing it never hurts.

One small JSON file in the user's settings folder. A damaged, missing or unwritable one means the defaults,
silently: nobody should be kept from training by a colour. Only a regular file is read or replaced, so that
DLTUI_CONFIG=/dev/null means to remember nothing; a link stays a link.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

_MOST_BYTES = 65_536


def default_path() -> Path:
    """DLTUI_CONFIG, else the user's settings folder."""
    chosen = os.environ.get("DLTUI_CONFIG")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_config_path("dltui", appauthor=False) / "preferences.json"


class Preferences:
    """Values by key, read once and written at each change.

    Args:
        path: of the file; None keeps everything in memory only.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._values: dict[str, Any] = _read(path) if path is not None else {}

    def get(self, key: str, default: Any) -> Any:
        """The remembered value if it has the type of the default, which must not be None."""
        value = self._values.get(key)
        return value if type(value) is type(default) else default

    def set(self, key: str, value: Any) -> None:
        """Remembers plain data."""
        if self._values.get(key) == value and key in self._values:
            return
        self._values[key] = value
        if self.path is not None:
            self._write()

    def _write(self) -> None:
        from dlcore.atomic import write_atomic

        assert self.path is not None
        text = json.dumps(self._values, indent=2, sort_keys=True)
        try:
            target = self.path.resolve()
            if target.exists() and not target.is_file():
                raise OSError(
                    errno.EINVAL, "not a regular file", str(target)
                )  # a rename would replace a device
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(target, text.encode() + b"\n", durable=False)
        except (OSError, RuntimeError):  # RuntimeError: links in a circle
            self.path = None  # a read-only home: remember until the end of this session


def _read(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():  # a pipe would keep the app waiting
            return {}
        with path.open("rb") as file:
            values = json.loads(file.read(_MOST_BYTES + 1))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
