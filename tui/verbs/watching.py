"""Verbs about runs, whoever trains them: attach, ls, show, tell, rm; and reset for the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.verbs.options import Json, Run, Runs, examples

verbs = typer.Typer()


@verbs.command(epilog=examples("dltui attach", "dltui attach digits-cnn-2"))
def attach(run: Run = None, runs: Runs = None) -> None:
    """Open the app on a run, also one that another terminal started."""
    from tui.commands import screen

    raise typer.Exit(screen.attach(run, runs))


@verbs.command(epilog=examples("dltui ls", "dltui ls --json | jq -r '.[].name'"))
def ls(runs: Runs = None, json: Json = False) -> None:
    """List the runs, newest first."""
    from tui.commands import listing

    listing.ls(runs, as_json=json)


@verbs.command(
    epilog=examples("dltui show", "dltui show digits-cnn-2 --follow", "dltui show --json | jq .best")
)
def show(
    run: Run = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Watch it live until it ends.")] = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Show a run: where it stands, its metrics and its curves."""
    from tui.commands import show as command

    command.show(run, runs, follow=follow, as_json=json)


@verbs.command(
    epilog=examples("dltui tell pause", "dltui tell digits-cnn-2 lr=1e-4", "dltui tell 20261120 epochs=40")
)
def tell(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] COMMAND",
            help="COMMAND is pause, continue, stop, save, evaluate, inspect, lr=1e-4 or epochs=40.",
        ),
    ],
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for the answer.")
    ] = 10.0,
    runs: Runs = None,
) -> None:
    """Tell a running training something, and print what it answers."""
    from tui.commands import tell as command

    raise typer.Exit(command.tell(words, runs, wait=wait))


@verbs.command(epilog=examples("dltui rm digits-cnn-2", "dltui rm --yes 20261119"))
def rm(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Names, unique starts of names, or paths.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    runs: Runs = None,
) -> None:
    """Delete runs with everything they hold. A run that is training is left alone."""
    from tui.commands import listing

    raise typer.Exit(listing.rm(names, runs, yes=yes))


@verbs.command(epilog=examples("dltui reset"))
def reset() -> None:
    """Mend a terminal that a killed app left broken."""
    from tui.commands import screen

    screen.reset()
