"""What a user's own code prints goes to a capped log and costs the training nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlcore.launch import LOG_LIMIT, log_tail
from dlcore.run_dir import RunDir
from tests.end_to_end.processes import Server, assert_same_weights, await_event, await_that, events, toy

NOISY = """
import os, sys
from torch import nn

class Net(nn.Module):
    '''Talks all the time.'''

    def __init__(self, spec):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Dropout(0.2), nn.Linear(16, spec.num_outputs))
        self.megabytes = int(os.environ.get("MEGABYTES", "0"))

    def forward(self, inputs):
        if self.megabytes and self.training:
            for _ in range(self.megabytes):
                print("\\x1b[2J" + "noise " * 170_000)
            os.write(2, b"from C\\n")
        return self.net(inputs)
"""


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    (tmp_path / "noisy.py").write_text(NOISY)
    path = toy(tmp_path, epochs=4)
    text = path.read_text().replace(
        '"mlp"\nwidths = [16, 16]\ndropout = 0.2\nbatch_norm = true', '"noisy.py:Net"'
    )
    path.write_text(text)
    return path


@pytest.mark.parametrize("detach", [False, True], ids=["foreground", "detached"])
def test_a_hundred_megabytes_of_prints(server: Server, runs: Path, preset: Path, detach: bool) -> None:
    more = ["--detach"] if detach else ["--quiet"]
    steps = 4 * 7
    megabytes = -(-100 // steps)
    noisy = ["run", preset, "--runs", runs, "--name", "noisy", *more]
    code, out, errors = server.dltui(*noisy, MEGABYTES=str(megabytes))
    assert code == 0, errors
    run = RunDir(runs / "noisy")
    await_event(run, "finished")
    await_that(lambda: not run.is_locked(), "the end")
    assert "noise" not in out + errors
    await_that(lambda: "from C" in log_tail(run.log_path, 1)[-1], "the last words in the log")
    log = run.log_path.read_bytes()
    assert 100_000 < len(log) <= LOG_LIMIT
    assert log.startswith(b"\x1b[2Jnoise")
    assert server.dltui("run", preset, "--runs", runs, "--name", "quiet", "--quiet")[0] == 0
    assert_same_weights(run, RunDir(runs / "quiet"))


def test_prints_stay_out_of_what_a_script_reads(server: Server, runs: Path, preset: Path) -> None:
    arguments = ["run", preset, "--runs", runs, "--name", "x", "--quiet", "--set", "training.max_steps=2"]
    code, out, errors = server.dltui(*arguments, MEGABYTES="1")
    assert (code, errors) == (0, "")
    assert out.count("\n") == 1
    assert out.startswith("x finished")


def test_a_log_that_cannot_be_written_costs_the_log(server: Server, runs: Path, preset: Path) -> None:
    prelude = "from dlcore import run_dir; run_dir.RunDir.log_path = property(lambda self: '/dev/full')"
    arguments = ["run", preset, "--runs", runs, "--name", "x", "--quiet", "--set", "training.max_steps=2"]
    assert server.dltui(*arguments, prelude=prelude, MEGABYTES="1")[0] == 0
    assert events(RunDir(runs / "x"), "finished")
