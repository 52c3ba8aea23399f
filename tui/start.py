"""Where the `dltui` command begins: straight into the app where nothing else was asked for.

The command line's parser takes 60 ms to import, a fifth of the time to the first paint, so `dltui` and
`dltui attach RUN` are told from the other verbs by hand.
"""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Runs the process's command line.

    Returns:
        The exit code.
    """
    match sys.argv[1:]:
        case []:
            return _into_the_app(None)
        case ["attach"]:
            return _into_the_app("")
        case ["attach", name] if not name.startswith("-"):
            return _into_the_app(name)
    from tui.cli import main as command_line

    return command_line()


def _into_the_app(attached: str | None) -> int:
    """The app on the list of runs, or on a run where a name is given; "" is the newest."""
    gc.disable()  # imports and a first screen leave no garbage to look for; tui.warm turns it on again
    from dlcore.errors import UserError
    from tui.commands import screen

    try:
        return screen.open_app() if attached is None else screen.attach(attached or None)
    except UserError as error:
        from tui.commands.common import exit_code, report

        report(error)
        return exit_code(error)


if __name__ == "__main__":
    sys.exit(main())
