"""`dltui presets`: the shipped presets as a path to learn by, and one of them as a lesson."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlcore.chapters import heading, place
from dlcore.errors import UserError
from dlcore.text_safety import safe_text
from tui.commands.catalogue import print_groups
from tui.commands.common import paint, print_json, terminal_width

if TYPE_CHECKING:
    from dlcore.preset import Preset

WIDEST = 110
INDENT = "  "
PITFALLS = "pitfalls, each with one fault for dltui doctor to name"
FULL_LINE = 95
"""A line of at least so many characters goes on in the next one; a shorter one ends its paragraph."""


def presets(name: str | None, *, as_json: bool) -> None:
    """Lists the shipped presets by chapter, or shows what one teaches and what to try.

    Raises:
        UserError: there is no preset of that name; names the nearest.
    """
    if name is None:
        _list(as_json=as_json)
        return
    from dlcore import preset as module

    found = module.load(name, builders=False)
    if as_json:
        print_json({"name": name} | found.about.model_dump(by_alias=True))
        return
    print("\n".join(_lesson(name, found)))


def _list(*, as_json: bool) -> None:
    """A broken one is named on stderr and the others are listed; those with a fault on purpose come last."""
    from dlcore import preset as module

    found = []
    pitfalls = module.pitfalls()
    for path in [*module.shipped(), *pitfalls]:
        try:
            about = module.load(path, builders=False).about
        except UserError as error:
            print(safe_text(f"{path.name}: {error}"), file=sys.stderr)
            continue
        entry: dict[str, Any] = {"name": path.stem, "path": str(path), "pitfall": path in pitfalls}
        found.append(entry | about.model_dump(exclude={"try_", "try"}))
    found.sort(key=lambda entry: (entry["pitfall"], *place(entry["chapter"], entry["lesson"], entry["name"])))
    if as_json:
        print_json(found)
        return
    groups: dict[str, list[Sequence[str]]] = {}
    for entry in found:
        line = safe_text(entry["summary"] or entry["title"])
        group = PITFALLS if entry["pitfall"] else heading(entry["chapter"])
        groups.setdefault(group, []).append((safe_text(entry["name"]), line))
    print_groups(groups)
    if found:
        first = safe_text(found[0]["name"])
        print(f"\nread one:  dltui presets {first}\nrun it:    dltui run {first}")


def _lesson(name: str, preset: Preset) -> list[str]:
    """What there is to learn, and every suggestion with the command that follows it."""
    about, shown = preset.about, safe_text(shlex.quote(name))
    title = safe_text(about.title) or shown
    lines = [paint(title, "bold") + f"   {heading(about.chapter)}", *_wrapped(about.summary)]
    if about.needs:
        lines += ["", *_wrapped(f"needs: {about.needs}")]
    lines += ["", *_taught(about.teaches)]
    if about.try_:
        lines += ["", paint("try", "bold")]
    for suggestion in about.try_:
        sets = " ".join(f"--set {shlex.quote(each)}" for each in suggestion.set)
        lines += [
            *_wrapped(suggestion.say, INDENT),
            paint(safe_text(f"{INDENT * 2}dltui run {shown} {sets}"), "cyan"),
        ]
    return [*lines, "", f"run it:  dltui run {shown}"]


def _taught(text: str) -> list[str]:
    """Paragraphs wrapped anew; indented lines are formulas or tables and stay as they are."""
    lines: list[str] = []
    paragraph, ended = "", True
    for line in [*text.strip("\n").splitlines(), ""]:
        kept = line.startswith(INDENT)
        if paragraph and (kept or not line or ended):
            lines += _wrapped(paragraph)
            paragraph = ""
        if kept:
            lines.append(INDENT + safe_text(line))
        else:
            paragraph = f"{paragraph} {line}".strip()
            ended = len(line) < FULL_LINE
    return lines


def _wrapped(text: str, indent: str = "") -> list[str]:
    width = max(30, min(WIDEST, terminal_width()) - len(indent))
    return [indent + line for line in textwrap.wrap(safe_text(text), width)]
