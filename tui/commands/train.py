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
from typing import Any, NamedTuple

from dlcore import launch
from dlcore import preset as presets
from dlcore.atomic import write_atomic
from dlcore.errors import UserError
from dlcore.json_lines import decode
from dlcore.preset import Preset
from dlcore.preset_text import read_text
from dlcore.run_dir import RunDir, RunHeld, slug
from dlcore.text_safety import safe_text
from tui import sentences
from tui.commands.changes import require_changeable, require_more_to_do
from tui.commands.common import print_json, report, runs_in
from tui.commands.painter import Painter
from tui.facts import describe
from tui.watch import RunWatch

FAILED = 1
LOG_LINES = 40  # of a traceback


class Output(NamedTuple):
    """What a person asked to see."""

    detach: bool = False
    quiet: bool = False
    json: bool = False


def run(source: str, sets: Sequence[str], name: str | None, runs: Path | None, output: Output) -> int:
    """Trains a preset as a new run.

    Returns:
        The exit code.

    Raises:
        UserError: whatever keeps it from starting; no run is left behind.
    """
    preset = presets.load(source, sets, builders=False)
    folder = runs_in(runs)
    _require_writable(folder)
    _require_free(folder, name)
    if output.detach:
        new = _create(folder, name, preset)
        return _detach(new, output, remove=True)
    with Painter.start(output.quiet, output.json) as painter:
        checked = presets.load(source, sets, builders=True)
        new = _create(folder, name, checked)
        try:
            code = _train(new, painter)
        except RunHeld:
            raise
        except UserError:
            with contextlib.suppress(UserError):
                new.remove()
            raise
    return _say_the_end(new, output, code)


def resume(name: str | None, sets: Sequence[str], runs: Path | None, output: Output) -> int:
    """Goes on with a run from its last checkpoint.

    Returns:
        The exit code.

    Raises:
        UserError: no such run, nothing left to do, or something that may not change.
    """
    old = RunDir(RunDir.find(runs_in(runs), name).path.absolute())
    overrides = require_changeable(sets)
    watch = RunWatch(old)
    watch.poll()
    if watch.held:
        old.lock().release()  # raises, naming the holder
    require_more_to_do(watch, _preset_of(old, sets, builders=False))
    if output.detach:
        if overrides:
            _rewrite(old, sets)
        return _detach(old, output, remove=False)
    with Painter.start(output.quiet, output.json) as painter:
        if overrides:
            _rewrite(old, sets)
        code = _train(old, painter, after=watch.state.seq)
    return _say_the_end(old, output, code)


def _train(run: RunDir, painter: Painter, after: int = 0) -> int:
    """Trains in this process; the painter shows what has a sequence number above ``after``."""
    from dlcore import worker

    painter.show(run, after)
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
        for line in _traceback(run):
            print(line, file=sys.stderr)
    return code


def _traceback(run: RunDir) -> list[str]:
    """The last traceback at the end of the log, if the training ended with one."""
    tail = launch.log_tail(run.log_path, LOG_LINES)
    starts = [
        number for number, line in enumerate(tail) if line.startswith("Traceback (most recent call last)")
    ]
    return tail[starts[-1] :] if starts else []


def _create(folder: Path, name: str | None, preset: Preset) -> RunDir:
    new = RunDir.create(folder.absolute(), name, Path(preset.source).stem)
    # Relative paths in the preset must mean the same files when the run is resumed from elsewhere.
    places = {"base": str(preset.base) if preset.base else None, "cwd": str(Path.cwd())}
    new.write_json_atomic("run.json", _about(new) | places)
    write_atomic(new.preset_path, presets.dump(preset).encode())
    return new


def _about(run: RunDir) -> dict[str, Any]:
    """run.json, or nothing where it is damaged."""
    try:
        return decode(run.run_json_path.read_bytes()) or {}
    except OSError:
        return {}


def _preset_of(run: RunDir, sets: Sequence[str], *, builders: bool) -> Preset:
    """A run's own preset with overrides."""
    base = _about(run).get("base")
    label = safe_text(f"{run.name}/{run.preset_path.name}")
    text = read_text(run.preset_path, label)
    return presets.loads(
        text, label, sets, builders=builders, base=Path(base) if isinstance(base, str) else None
    )


def _rewrite(run: RunDir, sets: Sequence[str]) -> None:
    """Puts overrides into the run's own preset, once known to be right and while nobody trains it."""
    with run.lock():
        write_atomic(run.preset_path, presets.dump(_preset_of(run, sets, builders=True)).encode())


def _require_writable(folder: Path) -> None:
    """Fails before anything slow is done; the folder itself is made later."""
    nearest = next((parent for parent in [folder, *folder.absolute().parents] if parent.exists()), Path("/"))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        reason = "cannot be written" if nearest.is_dir() else "is no folder"
        raise UserError(
            f"{safe_text(nearest)} {reason}: choose another runs folder with --runs or DLTUI_RUNS"
        )


def _require_free(folder: Path, name: str | None) -> None:
    taken = folder / slug(name or "")
    if not name or taken == folder or not taken.is_dir():
        return
    run = RunDir(taken)
    if run.is_locked():
        run.lock().release()  # raises, naming the holder
    raise UserError(
        f"there is a run {run.name} already; choose another --name, or go on with it: dltui resume {run.name}"
    )


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
