"""The three standard streams, whatever the shell made of them: closed, full, or with a reader that is gone.

Descriptors 0, 1 and 2 are always open afterwards; else the next file opened, a run's lock for instance,
would take such a number and be written over by the first thing printed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def open_missing() -> None:
    """Lets streams that were closed lead nowhere, for this process and those it starts."""
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def is_full(error: OSError) -> bool:
    """Whether an error says that what was printed found no room; errors about files name the file."""
    return error.filename is None and error.errno in _NO_ROOM


def settle() -> None:
    """Empties the streams; one that cannot be emptied is let go, or the interpreter would complain at its end."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):  # full, or closed by a user's code
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, number)
            os.close(null)
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
