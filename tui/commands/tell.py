"""`dltui tell`: hands a command to a running training and waits for its answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dlcore import control
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from tui.commands.common import runs_in
from tui.run_state import Answer
from tui.watch import RunWatch

POLL = 0.05  # seconds between looks for the answer
NO_ANSWER = 1
REFUSED = 2


def tell(words: Sequence[str], runs: Path | None, *, wait: float) -> int:
    """Sends a command and prints what the worker answers.

    Args:
        words: a run and a command, or a command for the latest run.
        wait: seconds until an answer is given up; the command stays asked.

    Returns:
        0 done, 1 not answered in time, 2 refused.

    Raises:
        UserError: no such run or command, or nobody is there to hear it.
    """
    if len(words) > 2:
        raise UserError("say one run and one command: dltui tell RUN pause")
    command = control.parse(words[-1])
    run = RunDir.find(runs_in(runs), words[0] if len(words) == 2 else None)
    watch = RunWatch(run)
    watch.poll()
    if not watch.held:
        raise UserError(
            f"{run.name} is not running ({watch.status}): dltui resume {run.name} goes on with it"
        )
    asked = control.send(run.path, command)
    answer = _answer(watch, asked, time.monotonic() + wait)
    if answer is None:
        gone = "" if watch.held else ": its process is gone"
        print(f"{run.name} has not answered{gone}; what was asked stays in control.jsonl", file=sys.stderr)
        return NO_ANSWER
    said = answer.message or f"{command} {'done' if answer.ok else 'refused'}"
    print(f"{run.name}: {said}", file=sys.stdout if answer.ok else sys.stderr)
    return 0 if answer.ok else REFUSED


def _answer(watch: RunWatch, asked: str, deadline: float) -> Answer | None:
    while True:
        watch.poll()
        for answer in watch.state.answers:
            if answer.id == asked:
                return answer
        if watch.over or time.monotonic() >= deadline:
            return None
        time.sleep(min(POLL, max(0.0, deadline - time.monotonic())))
