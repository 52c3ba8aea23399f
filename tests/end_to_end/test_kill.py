"""kill -9 at any moment loses no finished epoch, and the resumed run is bitwise the one never killed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcore.run_dir import RunDir, list_runs
from dlcore.series import names, read
from dlcore.training.checkpoints import MANIFEST
from tests.end_to_end.processes import (
    PATIENCE,
    Process,
    Server,
    assert_same_weights,
    await_that,
    checkpoints,
    events,
    toy,
)

EPOCHS = 10
SECONDS = 0.8  # about what a whole run takes


def figures(run: RunDir) -> dict[str, Any]:
    """What must come out the same: curves, the figures of each epoch, the best value, the test."""
    curves = {name: read(run.metrics_path, name) for name in names(run.metrics_path)}
    exact = {
        name: (curve.step.tolist(), curve.value.tolist())
        for name, curve in curves.items()
        if name == "train/loss" or name.startswith(("val/", "test/"))
    }
    assert exact.keys() >= {"train/loss", "val/loss", "val/accuracy", "test/loss"}
    by_epoch = {event["epoch"]: (event["metrics"], event["best"]) for event in events(run, "epoch")}
    return {
        "curves": exact,
        "epochs": by_epoch,
        "best": run.summary().best,
        "test": [event["metrics"] for event in events(run, "test")][-1],
        "status": run.summary().status,
    }


@pytest.fixture(scope="module")
def reference(server: Server, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """The run that nobody killed."""
    folder = tmp_path_factory.mktemp("reference")
    preset = toy(folder, epochs=EPOCHS)
    code, _, errors = server.dltui("run", preset, "--runs", folder, "--name", "whole", "--quiet")
    assert code == 0, errors
    return RunDir(folder / "whole")


def saving(run: RunDir) -> bool:
    """Whether a checkpoint is half-way to the disk."""
    try:
        entries = list(os.scandir(run.checkpoints_path))
    except OSError:
        return False
    return any(
        entry.name.startswith(".new-") or not os.path.exists(f"{entry.path}/{MANIFEST}")  # noqa: PTH110
        for entry in entries
    )


def kill_sometime(process: Process, run: RunDir, chance: random.Random) -> int | None:
    """Kills a process at a random moment, every other time during a save; its code if it ended first."""
    ended: list[int] = []

    def ended_within(seconds: float) -> bool:
        code = process.server.ask({"wait": process.pid, "seconds": seconds})
        ended.extend([] if code is None else [code])
        return bool(ended)

    if ended_within(chance.uniform(0.0, SECONDS)):
        return ended[0]
    if chance.random() < 0.5:
        await_that(lambda: saving(run) or ended_within(0.0), seconds=PATIENCE)
        if ended or ended_within(chance.uniform(0.0, 0.02)):
            return ended[0]
    process.signal()
    code = process.wait()
    assert code in (-9, 0)  # it may have reached its end just before
    return None if code == -9 else 0


def check_what_is_left(run: RunDir) -> int:
    """Finished epochs of a killed run, none of which is lost."""
    (listed,) = [summary for summary in list_runs(run.path.parent) if summary.path == run.path]
    all_but_said = events(run, "samples") and listed.status == "finished"  # the event comes after the state
    assert all_but_said or listed.status == ("died" if run.lock_path.exists() else "starting")
    announced = max((event["epoch"] for event in events(run, "epoch")), default=0)
    whole = checkpoints(run).newest()  # reads every byte of it
    kept = whole.manifest["epoch"] if whole is not None else 0
    assert kept >= announced, f"epoch {announced} was announced, but only {kept} is kept"
    return announced


def torture(
    server: Server, runs: Path, kills: int, chance: random.Random, finished: Callable[[RunDir], None]
) -> int:
    """Runs and resumes under fire until so many kills hit; ends with a last run left in peace.

    Returns:
        How many kills hit a half-written checkpoint.
    """
    preset = toy(runs.parent, epochs=EPOCHS)
    hit = torn = number = epochs_before = resumes = 0
    while True:
        run = RunDir(runs / f"victim-{number}")
        if run.preset_path.exists():
            process = server.start("resume", run.path, "--quiet")
        else:  # killed before there was anything to go on from
            number, epochs_before, resumes = number + 1, 0, 0
            run = RunDir(runs / f"victim-{number}")
            process = server.start("run", preset, "--runs", runs, "--name", run.name, "--quiet")
        code = process.wait() if hit == kills else kill_sometime(process, run, chance)
        if code is not None or events(run, "finished"):  # or killed when all was done
            assert not code, process.output
            finished(run)
            if hit == kills:
                return torn
            number, epochs_before, resumes = number + 1, 0, 0
            continue
        hit += 1
        torn += saving(run)
        if run.preset_path.exists():
            epochs = check_what_is_left(run)
            assert epochs >= epochs_before
            resumed = events(run, "resumed")
            again = [event for event in resumed[resumes:] if event["epoch"] < epochs_before]
            assert again == [], "finished epochs were trained again"
            epochs_before, resumes = epochs, len(resumed)


KILL_AT = """
import os
from dlcore.training.recorder import Recorder
real = Recorder.{method}
def watched(self, *names, **fields):
    hit = {condition}
    if hit and "{when}" == "before":
        os.kill(os.getpid(), 9)
    real(self, *names, **fields)
    if hit:
        os.kill(os.getpid(), 9)
Recorder.{method} = watched
"""
MOMENTS = {
    "started": ("event", "names[0] == 'started'"),
    "checkpoint": ("event", "names[0] == 'checkpoint' and fields['epoch'] == 4"),
    "epoch": ("event", "names[0] == 'epoch' and fields['epoch'] == 4"),
    "last epoch": ("event", "names[0] == 'epoch' and fields['epoch'] == 10"),
    "test": ("event", "names[0] == 'test'"),
    "samples": ("event", "names[0] == 'samples'"),
    "finished": ("event", "names[0] == 'finished'"),
    "state": ("state", "fields.get('status') == 'finished'"),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_the_most_awkward_moments(
    server: Server, runs: Path, reference: RunDir, moment: str, when: str
) -> None:
    method, condition = MOMENTS[moment]
    run = RunDir(runs / "x")
    process = server.start(
        "run", toy(runs.parent, epochs=EPOCHS), "--runs", runs, "--name", "x", "--quiet",
        prelude=KILL_AT.format(method=method, condition=condition, when=when),
    )  # fmt: skip
    assert process.wait() == -9, process.output
    if not events(run, "finished"):
        listed = run.summary().status
        assert listed == (
            "finished"
            if moment in ("finished", "state") and (moment, when) != ("state", "before")
            else "died"
        )
        code, _, errors = server.dltui("resume", run.path, "--quiet")
        assert code == 0, errors
    assert_same_weights(run, reference)
    np.testing.assert_equal(figures(run), figures(reference))
    assert [event["epoch"] for event in events(run, "epoch")] == list(range(1, EPOCHS + 1))


@pytest.mark.parametrize(
    "kills",
    [
        6,
        pytest.param(
            int(os.environ.get("DLTUI_KILLS", "50")), marks=[pytest.mark.slow, pytest.mark.timeout(0)]
        ),
    ],
)
def test_killed_at_random_moments(server: Server, runs: Path, reference: RunDir, kills: int) -> None:
    seed = int(os.environ.get("DLTUI_SEED", random.randrange(10**6)))
    expected = figures(reference)
    finished = []

    def check(run: RunDir) -> None:
        assert_same_weights(run, reference)
        np.testing.assert_equal(figures(run), expected)
        finished.append(run.name)

    try:
        torn = torture(server, runs, kills, random.Random(seed), check)
    except BaseException:
        print(f"again with DLTUI_SEED={seed}")
        raise
    assert finished
    assert torn or kills < 50, "no kill hit a save: the test has lost its aim"
