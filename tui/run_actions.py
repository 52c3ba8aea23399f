"""What a screen can do to runs: go on with one, stop it, delete it. For threads: each may wait for a disk.

What a person can mend comes as UserError with sentences to show. No Textual, no torch.
"""

from __future__ import annotations

from pathlib import Path

from dlcore import control, launch
from dlcore import preset as presets
from dlcore.atomic import write_atomic
from dlcore.run_dir import RunDir
from tui.commands.changes import require_more_to_do
from tui.commands.run_files import preset_of
from tui.watch import RunWatch


def resume(path: Path, epochs: int | None = None) -> None:
    """Starts a worker that goes on from the last checkpoint; returns when it trains.

    Args:
        epochs: train until that many instead, as a finished run needs.

    Raises:
        UserError: somebody trains it, nothing is left to do, or what the worker said.
    """
    run = RunDir(path.absolute())
    if run.is_locked():
        run.lock().release()  # raises, naming the holder
    sets = [] if epochs is None else [f"training.epochs={epochs}"]
    preset = preset_of(run, sets, builders=False)  # its every default is spelled out: structure is enough
    watch = RunWatch(run)
    watch.poll()
    require_more_to_do(watch, preset)
    if sets:
        with run.lock():
            write_atomic(run.preset_path, presets.dump(preset).encode())
    launch.start_detached(run)


def stop(path: Path) -> None:
    """Asks a run to save and stop; its own event says when it did.

    Raises:
        UserError: it cannot be told.
    """
    run = RunDir(path)
    if run.summary().status == "starting":
        launch.stop(run, timeout=0.0)  # it does not listen to its control file yet
    else:
        control.send(run, "stop")


def delete(path: Path) -> None:
    """Deletes a run with everything in it.

    Raises:
        UserError: it trains, or cannot be removed.
    """
    RunDir(path).remove()
