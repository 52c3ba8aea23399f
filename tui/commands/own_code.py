"""Running a trained network, which may be the user's own code: what it prints and what it raises."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator

from dlcore.errors import UserError
from tui.commands.common import OwnCodeError
from tui.commands.failure import is_library, shortened


@contextlib.contextmanager
def running() -> Iterator[None]:
    """Inside, what is printed goes to stderr: stdout has the answers alone, for scripts to read.

    Raises:
        OwnCodeError: the user's own code raised, or wanted to end the process; its own lines are in it.
    """
    with stdout_aside():
        try:
            yield
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            if not any(not is_library(each.filename) for each in _frames_of_users(error)):
                raise
            lines = "".join(traceback.format_exception(error)).splitlines()
            raise OwnCodeError(shortened(lines)) from error


def line_of(error: BaseException) -> str:
    """The line of the user's own file that raised, such as ``line 8 of net.py, in forward``; "" where none did."""
    own = [each for each in _frames_of_users(error) if not is_library(each.filename)]
    return f"line {own[-1].lineno} of {os.path.basename(own[-1].filename)}, in {own[-1].name}" if own else ""  # noqa: PTH119


def _frames_of_users(error: BaseException) -> list[traceback.FrameSummary]:
    """Behind the frame of `running` itself and of the verb that it was entered from."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH120, PTH100
    return [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith(here)]


@contextlib.contextmanager
def stdout_aside() -> Iterator[None]:
    """Inside, what is printed goes to stderr, from whatever depth."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 1)
        os.close(kept)
