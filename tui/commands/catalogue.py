"""`dltui models` and `dltui data`: what there is to choose from."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tui import words
from tui.commands.common import paint, print_json, terminal_width

if TYPE_CHECKING:
    from dlcore.registry import Entry, Field

OTHERS = "others"


def builders(kind: str, name: str | None, *, as_json: bool) -> None:
    """Lists the builders of a kind, or shows the options of one.

    Raises:
        UserError: no builder of that name; names the nearest.
    """
    from dlcore.registry import DATA, MODELS

    registry = {"model": MODELS, "data": DATA}[kind]
    if name is not None:
        entry = registry.entry(name)
        print_json(_described(entry)) if as_json else _print_entry(kind, entry)
        return
    entries = registry.entries()
    if as_json:
        print_json([_described(entry) for entry in entries])
        return
    groups: dict[str, list[Sequence[str]]] = {}
    for entry in entries:
        groups.setdefault(entry.group or OTHERS, []).append((entry.name, entry.summary))
    print_groups(dict(sorted(groups.items(), key=lambda pair: pair[0] == OTHERS)))
    if entries:
        command = "models" if kind == "model" else kind
        print(f"\noptions of one:  dltui {command} {entries[0].name}")


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "group": entry.group,
        "summary": entry.summary,
        "inputs": entry.inputs,
        "targets": entry.targets,
        "tags": dict(entry.tags),
        "options": [
            {
                "name": field.name,
                "type": field.type_text,
                "default": field.default,
                "required": field.required,
                "help": field.help,
                "choices": field.choices,
                "minimum": field.minimum,
                "maximum": field.maximum,
            }
            for field in entry.fields
        ],
    }


def _print_entry(kind: str, entry: Entry) -> None:
    print(paint(entry.name, "bold") + (f"   {entry.group}" if entry.group else ""))
    print()
    print(_without_arguments(entry.doc))
    for heading, kinds in (
        ("takes", entry.inputs),
        ("gives", [entry.tags.get(key) for key in ("input", "target")]),
    ):
        if any(kinds):
            print(f"\n{heading}: {', '.join(str(kind) for kind in kinds if kind)}")
    if not entry.fields:
        print("\nno options")
        return
    print(f"\noptions, in [{kind}] of a preset or with --set {kind}.KEY=VALUE:")
    rows = [(field.name, field.type_text + _range(field), _default(field)) for field in entry.fields]
    lines = words.columns(rows, "<<<")
    indent = 4
    for line, field in zip(lines, entry.fields, strict=True):
        print(f"  {line}")
        for part in textwrap.wrap(" ".join(field.help.split()), max(20, terminal_width() - indent)):
            print(paint(" " * indent + part, "dim"))


def _default(field: Field) -> str:
    if field.required:
        return "required"
    return "none" if field.default is None else _toml(field.default)


def _range(field: Field) -> str:
    """The allowed numbers, such as `` ≥ 1`` or `` [0, 1)``."""
    low, high = field.minimum, field.maximum
    if low is None and high is None:
        return ""
    if high is None or high >= 2**31:
        return "" if low is None else f" {'>' if 'minimum' in field.exclusive else '≥'} {low:g}"
    left = "(" if low is None or "minimum" in field.exclusive else "["
    return (
        f" {left}{'' if low is None else f'{low:g}'}, {high:g}{')' if 'maximum' in field.exclusive else ']'}"
    )


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    return str(value)


def _without_arguments(doc: str) -> str:
    """A docstring up to its ``Args:`` section, whose lines stand beside the options."""
    kept: list[str] = []
    for line in doc.splitlines():
        if line.strip() in ("Args:", "Returns:", "Raises:"):
            break
        kept.append(line)
    return "\n".join(kept).strip()


def print_groups(groups: Mapping[str, Iterable[Sequence[str]]]) -> None:
    """Rows of a name and a line about it under headings; cut to the terminal's width, whole in a pipe."""
    width = terminal_width() if sys.stdout.isatty() else sys.maxsize
    lead = max((words.cells(row[0]) for rows in groups.values() for row in rows), default=0)
    for number, (heading, rows) in enumerate(groups.items()):
        print(("\n" if number else "") + paint(heading, "bold"))
        for name, line in rows:
            space = " " * (lead - words.cells(name))
            print(f"  {paint(name, 'cyan')}{space}  {words.fit(line, max(20, width - lead - 4))}")
