"""`dltui new`: a starting point in a file of the user's own."""

from __future__ import annotations

import json
from pathlib import Path

from dlcore import preset as presets
from dlcore.errors import UserError
from dlcore.preset.sections import SECTIONS
from dlcore.text_safety import safe_text
from tui.commands.templates import KINDS, python


def new(path: Path, source: str | None, kind: str) -> None:
    """Writes the file and says what to do with it; nothing that is there is replaced.

    Raises:
        UserError: the file is there already, cannot be written, or is of neither kind.
    """
    if path.suffix == ".toml":
        text, hints = _preset(path, source)
    elif path.suffix == ".py":
        if source is not None:
            raise UserError("--from names a preset to start from, so the file must end in .toml")
        if kind and kind not in KINDS:
            raise UserError(f"--kind {safe_text(kind)}: say {', '.join(KINDS)}")
        text = python(kind)
        hints = _hints(path, kind)
    else:
        raise UserError(f"{safe_text(path)}: name a file that ends in .py or .toml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UserError(f"{safe_text(path)} is there already; choose another name") from error
    except OSError as error:
        raise UserError(f"{safe_text(path)} cannot be written: {error.strerror}") from error
    print(f"wrote {safe_text(path)}; next:")
    for hint in hints:
        print(f"  {hint}")


def _preset(path: Path, source: str | None) -> tuple[str, list[str]]:
    """The sections of a preset with their comments; what it teaches stays where it is.

    Raises:
        UserError: there is no such preset.
    """
    origin = presets.load(source or "digits-cnn", builders=False)
    given = Path(origin.source)
    file = given if given.suffix == ".toml" and given.is_file() else presets.find(given.stem)
    sections = {f"[{name}]" for name in SECTIONS} - {"[about]"}
    kept: list[str] = []
    inside = False
    for line in file.read_text("utf-8").splitlines():
        inside = inside or line.strip() in sections
        if line.strip().startswith(("[about]", "[[about.")):
            inside = False
        if inside:
            kept.append(line)
    title = json.dumps(path.stem)
    head = [
        f"# Started from {safe_text(origin.source)}. What may be said: dltui models NAME, dltui data NAME.",
        "",
        "[about]",
        f"title = {title}",
        "",
    ]
    shown = safe_text(path)
    return "\n".join([*head, *kept]).rstrip() + "\n", [f"dltui check {shown}", f"dltui run {shown}"]


def _hints(path: Path, kind: str) -> list[str]:
    keys = {
        "model": f"--set model.name={path}:Net",
        "data": f"--set data.name={path}:make",
        "task": f"--set task.name={path}:OwnTask",
    }
    starts = {"model": "digits-mlp", "data": "digits-mlp", "task": "digits-mlp"}
    chosen = [kind] if kind else list(KINDS)
    return [f"dltui check {starts[each]} {safe_text(keys[each])}" for each in chosen]
