"""The `dltui` command: what can be typed, and how its end reaches the shell.

Every verb is one call into `tui.commands`, imported only when the verb runs, so that `--help` costs no
more than typer. Exit codes: 0 done, 1 the training failed, 2 bad input, 3 the run is held by another
process, 130 and 143 interrupted and saved.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

BROKEN_PIPE = 141  # as a shell reports a program that SIGPIPE ended

app = typer.Typer(
    help="Train neural networks in the terminal, watch them live, and never lose a run.",
    epilog="Example:  dltui run digits-cnn",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

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


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    runs: Runs = None,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Alone it opens the app."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"dltui {installed('dltui')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        from tui.commands import screen

        raise typer.Exit(screen.open_app(runs))
    if runs is not None:
        os.environ["DLTUI_RUNS"] = str(runs)  # the verb's own --runs still goes first


@app.command(epilog=_examples("dltui attach", "dltui attach digits-cnn-2"))
def attach(run: Run = None, runs: Runs = None) -> None:
    """Open the app on a run, also one that another terminal started."""
    from tui.commands import screen

    raise typer.Exit(screen.attach(run, runs))


@app.command(epilog=_examples("dltui reset"))
def reset() -> None:
    """Mend a terminal that a killed app left broken."""
    from tui.commands import screen

    screen.reset()


@app.command(
    epilog=_examples("dltui run digits-cnn", "dltui run my.toml --set training.epochs=40 --name long")
)
def run(
    preset: Preset,
    sets: Sets = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the run; else date and preset.")
    ] = None,
    runs: Runs = None,
    detach: Detach = False,
    quiet: Quiet = False,
    json: EndJson = False,
) -> None:
    """Train a preset and show the progress.

    ctrl+c saves a checkpoint and stops; dltui resume goes on from there. Closing the terminal does not
    stop it.
    """
    from tui.commands import train

    raise typer.Exit(train.run(preset, sets or [], name, runs, train.Output(detach, quiet, json)))


@app.command(epilog=_examples("dltui check digits-cnn", "dltui check my.toml --set model.hidden=256"))
def check(preset: Preset, sets: Sets = None, json: Json = False) -> None:
    """Check a preset without training: shapes, parameters, memory."""
    from tui.commands import check as command

    raise typer.Exit(command.check(preset, sets or [], as_json=json))


@app.command(epilog=_examples("dltui resume", "dltui resume digits-cnn-2 --set training.epochs=40"))
def resume(
    run: Run = None,
    sets: Sets = None,
    runs: Runs = None,
    detach: Detach = False,
    quiet: Quiet = False,
    json: EndJson = False,
) -> None:
    """Go on with a run from its last checkpoint.

    It ends with the same weights as if it had never stopped. --set may change how long and how it trains
    (such as training.epochs), not what is trained.
    """
    from tui.commands import train

    raise typer.Exit(train.resume(run, sets or [], runs, train.Output(detach, quiet, json)))


@app.command(epilog=_examples("dltui ls", "dltui ls --json | jq -r '.[].name'"))
def ls(runs: Runs = None, json: Json = False) -> None:
    """List the runs, newest first."""
    from tui.commands import listing

    listing.ls(runs, as_json=json)


@app.command(
    epilog=_examples("dltui show", "dltui show digits-cnn-2 --follow", "dltui show --json | jq .best")
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


@app.command(
    epilog=_examples("dltui tell pause", "dltui tell digits-cnn-2 lr=1e-4", "dltui tell 20261120 epochs=40")
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


@app.command(epilog=_examples("dltui rm digits-cnn-2", "dltui rm --yes 20261119"))
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


@app.command(epilog=_examples("dltui presets", "dltui presets --json"))
def presets(json: Json = False) -> None:
    """List the presets that come with dltui."""
    from tui.commands import catalogue

    catalogue.presets(as_json=json)


@app.command(epilog=_examples("dltui models", "dltui models cnn"))
def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show the options of this one.")] = None,
    json: Json = False,
) -> None:
    """List the architectures, or one architecture's options."""
    from tui.commands import catalogue

    catalogue.builders("model", name, as_json=json)


@app.command(epilog=_examples("dltui data", "dltui data csv"))
def data(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show the options of this one.")] = None,
    json: Json = False,
) -> None:
    """List the data sets, or one data set's options."""
    from tui.commands import catalogue

    catalogue.builders("data", name, as_json=json)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        arguments: without the program's name; the process's own when left out.

    Returns:
        The exit code.
    """
    from dlcore.errors import UserError

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a locale without "✓" must not end in a traceback
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except UserError as error:
        from tui.commands.common import exit_code, report

        report(error)
        code = exit_code(error)
    except BrokenPipeError:
        code = BROKEN_PIPE
    if code == BROKEN_PIPE:
        # What is still buffered has no reader; without this the interpreter would say so at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(args=None if arguments is None else list(arguments), prog_name="dltui")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
