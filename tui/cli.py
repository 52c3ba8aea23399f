"""The `dltui` command: its verbs, and how its end reaches the shell.

What can be typed is in `tui.verbs`; each verb is one call into `tui.commands`, imported only when it runs, so
that `--help` costs no more than typer. Exit codes: 0 done, 1 the training failed, 2 bad input, 3 the run is
held by another process, 130 and 143 interrupted and saved.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from tui.verbs import looking, starting, training, using, watching
from tui.verbs.options import Runs

NOT_PRINTED = 2  # a disk that is full where standard output leads
BROKEN_PIPE = 141  # as a shell reports a program that SIGPIPE ended

app = typer.Typer(
    help="Train neural networks in the terminal, watch them live, and never lose a run.",
    epilog="Example:  dltui run digits-cnn",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

# In the order in which --help lists them.
for group in (training, watching, looking, using, starting):
    app.add_typer(group.verbs)


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        arguments: without the program's name; the process's own when left out.

    Returns:
        The exit code.
    """
    from dlcore.errors import UserError
    from tui import streams

    streams.open_missing()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a locale without "✓" must not end in a traceback
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except UserError as error:
        from tui.commands.common import exit_code, report

        code = exit_code(error)
        with contextlib.suppress(OSError):
            report(error)
    except BrokenPipeError:
        code = BROKEN_PIPE
    except OSError as error:
        if not streams.is_full(error):
            raise
        code = NOT_PRINTED
        with contextlib.suppress(OSError):
            print(f"the output cannot be written: {error.strerror}; make room for it", file=sys.stderr)
    streams.settle()
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(args=None if arguments is None else list(arguments), prog_name="dltui")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
