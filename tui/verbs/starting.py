"""Verbs to find what there is and to begin with it: new, presets, models, data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tui.verbs.options import Json, examples

verbs = typer.Typer()


@verbs.command(epilog=examples("dltui new net.py", "dltui new mine.toml --from digits-cnn"))
def new(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .py file for code of your own, or a .toml preset.")
    ],
    source: Annotated[
        str | None, typer.Option("--from", metavar="PRESET", help="The preset to start from (for .toml).")
    ] = None,
    kind: Annotated[
        str, typer.Option(metavar="model|data|task", help="What the .py file holds; else all three.")
    ] = "",
) -> None:
    """Write a short, commented starting point: a network, data or task of your own, or a preset."""
    from tui.commands import new as command

    command.new(path, source, kind)


@verbs.command(epilog=examples("dltui presets", "dltui presets digits-cnn"))
def presets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show what this one teaches.")] = None,
    json: Json = False,
) -> None:
    """List the presets as a path to learn by, or what one teaches and what to try with it."""
    from tui.commands import lessons

    lessons.presets(name, as_json=json)


@verbs.command(epilog=examples("dltui models", "dltui models cnn"))
def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show the options of this one.")] = None,
    json: Json = False,
) -> None:
    """List the architectures, or one architecture's options."""
    from tui.commands import catalogue

    catalogue.builders("model", name, as_json=json)


@verbs.command(epilog=examples("dltui data", "dltui data csv"))
def data(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show the options of this one.")] = None,
    json: Json = False,
) -> None:
    """List the data sets, or one data set's options."""
    from tui.commands import catalogue

    catalogue.builders("data", name, as_json=json)
