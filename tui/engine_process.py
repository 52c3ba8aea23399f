"""One running engine and its two pipes, owned by the thread of `engine_client`."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Sequence

from dlcore.atomic import write_all
from dlcore.engine.protocol import Lines
from dlcore.launch import worker_environment


class EngineProcess:
    """A running engine.

    Attributes:
        answers: descriptor to read from.
        working: the question that it said it works on.
        heard: when it last gave a sign of life, or was asked something while it was idle.
        failure: why it could not load what it needs, as it said itself.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
            start_new_session=True,  # ctrl+c at the terminal is not meant for it
            bufsize=0,
        )
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._questions = self._popen.stdin.fileno()
        self.answers = self._popen.stdout.fileno()
        self.lines = Lines()
        self.ready = False
        self.working: int | None = None
        self.heard = time.monotonic()
        self.failure: tuple[str, ...] = ()

    def send(self, line: bytes) -> bool:
        """Whether the engine could be told."""
        if self.working is None:
            self.heard = time.monotonic()
        try:
            write_all(self._questions, line)
        except OSError:
            return False
        return True

    def end(self) -> str:
        """Ends the process if it has not ended, and tells how it did: ``exit code 3``, ``SIGKILL``."""
        with contextlib.suppress(OSError):
            self._popen.stdin.close()  # type: ignore[union-attr]
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(0.2)
        self._popen.kill()
        code = self._popen.wait()
        self._popen.stdout.close()  # type: ignore[union-attr]
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
        return f"exit code {code}"
