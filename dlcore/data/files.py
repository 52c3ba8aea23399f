"""Finding the files a preset names."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from dlcore.data.spec import DataContext
from dlcore.errors import NotFoundError, UserError


def resolve_path(path: str, context: DataContext) -> Path:
    """The existing file or folder that ``path`` names: from the working folder first, then from the preset's.

    Raises:
        NotFoundError: there is none; the sentence says where it was looked for and what lies there instead.
    """
    if not path or "\0" in path:
        raise UserError(f"{path!r} is not a path")
    wanted = Path(path).expanduser()
    places = list(dict.fromkeys([Path.cwd(), *([context.base.resolve()] if context.base else [])]))
    found = [place / wanted for place in places if (place / wanted).exists()]
    if found:
        return found[0]
    where = "" if wanted.is_absolute() else " in " + " or ".join(map(str, places))
    hint = _nearest(places[0] / wanted) or "; set data.path to where it is"
    raise NotFoundError(f"no file or folder {path}{where}{hint}", path)


def _nearest(path: Path) -> str:
    try:
        names = [entry.name for entry in os.scandir(path.parent)]
    except OSError:
        return f"; the folder {path.parent} does not exist" if not path.parent.exists() else ""
    close = get_close_matches(path.name, names, n=1)
    if path.is_symlink():  # it is there, and so its own nearest name
        return "; it is a link that leads nowhere"
    return f"; did you mean {close[0]}?" if close else ""
