"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Runs = Annotated[
    Path | None,
    typer.Option("--runs", metavar="DIR", help="Folder of the runs; else $DLTUI_RUNS, else ./runs."),
]
Run = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="A name, the unique start of one, or a path; else the latest."),
]
Preset = Annotated[
    str, typer.Argument(metavar="PRESET", help="The name of a shipped preset, or a TOML file.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="SECTION.KEY=VALUE", help="Override one key; may be repeated."),
]
Detach = Annotated[
    bool,
    typer.Option("--detach", "-d", help="Train in the background, print the run's name, return at once."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the last line only.")]
EndJson = Annotated[bool, typer.Option("--json", help="Print one JSON object at the end, nothing else.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Processes = Annotated[
    int,
    typer.Option(
        "--nproc-per-node", metavar="N", min=1, max=1024, help="Processes that train it, a GPU each."
    ),
]
Which = Annotated[
    str, typer.Option("--checkpoint", "-c", metavar="best|last|STEP", help="Which weights to use.")
]


def examples(*lines: str) -> str:
    """The last lines of a verb's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
