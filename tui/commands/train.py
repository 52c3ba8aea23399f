"""`dltui run` and `dltui resume`: this process becomes the trainer, or starts a detached one.

In the foreground the command's own process trains, so that its process id, signals and exit code are the
training's. What a person sees is painted by a second process, started before torch is imported; what the
training itself prints goes to the run's worker.log, as in a detached run.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dlcore import launch
from dlcore import preset as presets
from dlcore.cores import share_cores
from dlcore.errors import UserError
from dlcore.launch.together import refusal, train_together
from dlcore.run_dir import RunDir, RunHeld
from dlcore.text_safety import safe_text
from tui import sentences
from tui.commands.changes import require_changeable, require_more_to_do
from tui.commands.common import print_json, report, runs_in
from tui.commands.failure import last_traceback
from tui.commands.painter import Painter
from tui.commands.run_files import create, preset_of, require_free, require_writable, rewrite
from tui.facts import describe
from tui.watch import RunWatch

FAILED = 1


class Output(NamedTuple):
    """What a person asked to see."""

    detach: bool = False
    quiet: bool = False
    json: bool = False
    prepare: bool = False


def run(
    source: str,
    sets: Sequence[str],
    name: str | None,
    runs: Path | None,
    output: Output,
    processes: int = 1,
) -> int:
    """Trains a preset as a new run.

    Args:
        processes: of this machine that train it together.

    Returns:
        The exit code.

    Raises:
        UserError: whatever keeps it from starting; no run is left behind.
    """
    share_cores()
    preset = presets.load(source, sets, builders=False)
    folder = runs_in(runs)
    require_writable(folder)
    require_free(folder, name)
    _require_attached(output, processes)
    if output.prepare:
        print(safe_text(create(folder, name, presets.load(source, sets, builders=True)).path.absolute()))
        return 0
    if output.detach:
        new = create(folder, name, preset)
        return _detach(new, output, remove=True)
    with Painter.start(output.quiet, output.json) as painter:
        checked = presets.load(source, sets, builders=True)
        new = create(folder, name, checked)
        try:
            code = _train(new, painter, processes=processes)
        except RunHeld:
            raise
        except (UserError, KeyboardInterrupt):  # ctrl+c, too, only gets here before the training begins
            with contextlib.suppress(UserError):
                new.remove()
            raise
    return _say_the_end(new, output, code)


def resume(
    name: str | None, sets: Sequence[str], runs: Path | None, output: Output, processes: int = 1
) -> int:
    """Goes on with a run from its last checkpoint, in as many processes as now asked for.

    Returns:
        The exit code.

    Raises:
        UserError: no such run, nothing left to do, or something that may not change.
    """
    old = RunDir(RunDir.find(runs_in(runs), name).path.absolute())
    overrides = require_changeable(sets)
    _require_attached(output, processes)
    watch = RunWatch(old)
    watch.poll()
    if watch.held:
        old.lock().release()  # raises, naming the holder
    require_more_to_do(watch, preset_of(old, sets, builders=False))
    if output.detach:
        if overrides:
            rewrite(old, sets)
        return _detach(old, output, remove=False)
    with Painter.start(output.quiet, output.json) as painter:
        if overrides:
            rewrite(old, sets)
        code = _train(old, painter, after=watch.state.seq, processes=processes)
    return _say_the_end(old, output, code)


def _require_attached(output: Output, processes: int) -> None:
    if output.detach and processes > 1:
        raise UserError("--detach trains in one process; leave it out, or --nproc-per-node.")


def _train(run: RunDir, painter: Painter, after: int = 0, processes: int = 1) -> int:
    """Trains in this process, or in several; the painter shows what has a sequence number above ``after``."""
    painter.show(run, after)
    if processes > 1:
        with _output_to_log(run):
            code = train_together(run, processes)
        refused = refusal(run) if code == FAILED else ""
        if refused:
            raise UserError(refused)
        return code
    from dlcore import worker

    with _output_to_log(run):
        return worker.run(run)


def _detach(run: RunDir, output: Output, *, remove: bool) -> int:
    try:
        launch.start_detached(run, warn=lambda line: print(f"warning: {safe_text(line)}", file=sys.stderr))
    except UserError as error:
        if not run.is_locked():
            if remove:
                with contextlib.suppress(UserError):
                    run.remove()
            raise
        report(error)  # it trains, only later than anyone wanted to wait for
    print_json(describe(run)) if output.json else print(safe_text(run.name))
    return 0


def _say_the_end(run: RunDir, output: Output, code: int) -> int:
    """Prints what the painter does not: the end for scripts, the cause of a failure."""
    watch = RunWatch(run)
    watch.poll()
    unseen = output.quiet or output.json or not watch.begun
    line = sentences.end_line(watch)
    if output.json:
        print_json(describe(run))
    if code == FAILED and unseen:
        print(line, file=sys.stderr)
    elif output.quiet and not output.json:
        print(line)
    if code == FAILED:
        for line in last_traceback(run):
            print(line, file=sys.stderr)
    return code


@contextlib.contextmanager
def _output_to_log(run: RunDir) -> Iterator[None]:
    """Whatever this process prints meanwhile, from C code too, goes to the run's log."""
    streams = sys.stdout, sys.stderr
    for stream in streams:
        stream.flush()
    kept = [os.dup(1), os.dup(2)]
    try:
        with launch.capped_log(run.log_path) as log:
            os.dup2(log, 1)
            os.dup2(log, 2)
            launch.protect_output()
            try:
                yield
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                sys.stdout, sys.stderr = streams
                os.dup2(kept[0], 1)
                os.dup2(kept[1], 2)
    finally:
        for descriptor in kept:
            os.close(descriptor)
