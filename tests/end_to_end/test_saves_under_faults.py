"""A save that the kernel cuts off or refuses at any call leaves the old checkpoint or the new one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from dlcore.training.checkpoints import MANIFEST, CheckpointFolder
from tests.core.support import names_in
from tests.core.training.test_checkpoints import snapshot, step_in
from tests.end_to_end.processes import Server, await_that

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

CALLS = {
    "write": "write,?pwrite64,?writev",
    "fsync": "fsync,?fdatasync",
    "rename": "?rename,?renameat,?renameat2",
    "mkdir": "?mkdir,?mkdirat",
    "unlink": "?unlink,?unlinkat,?rmdir",
    "open": "openat",
    "mode": "?chmod,?fchmodat,?fchmod",
    "close": "close",
}
SAVE = """
import os
from pathlib import Path
from safetensors import SafetensorError
from dlcore.training.checkpoints import CheckpointFolder
from tests.core.training.test_checkpoints import snapshot
folder, state = CheckpointFolder(Path({folder!r})), snapshot(3)
folder.newest()  # as a resume looks
CheckpointFolder(Path({folder!r} + "-first")).write(state)  # so that nothing is left to be imported
gate = os.open({gate!r}, os.O_RDWR)
print("ready", flush=True)
os.read(gate, 1)
code = 0
try:
    folder.write(state)
except (OSError, RuntimeError, SafetensorError):
    code = 1
os._exit(code)
"""


class Saver:
    """Saves step 3 over steps 1 and 2 in a process of its own, under strace."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server, self._folder = server, folder
        self.before = folder / "before"
        old = CheckpointFolder(self.before)
        for step in (1, 2):
            old.write(snapshot(step))
        self.gate = folder / "gate"
        os.mkfifo(self.gate)
        self._keep_open = os.open(self.gate, os.O_RDWR)

    def close(self) -> None:
        os.close(self._keep_open)

    def save(self, calls: str, how: str, position: int) -> tuple[CheckpointFolder, int, bool]:
        """What is left, the exit code, and whether there was such a call to tamper with."""
        path = self._folder / f"{how}-{position}"
        shutil.copytree(self.before, path)
        process = self._server.start(prelude=SAVE.format(folder=str(path), gate=str(self.gate)))
        await_that(lambda: process.output[0], "the saver")
        log = self._folder / "log"
        inject = f"inject={calls}:{how}:when={position}"
        tracer = subprocess.Popen(
            ["strace", "-f", "-p", str(process.pid), "-o", log, "-e", f"trace={calls}", "-e", inject],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        if "attached" not in attached:
            process.signal()
            process.wait()
            pytest.skip(f"strace may not attach here: {attached.strip()}")
        os.write(self._keep_open, b"!")
        code = process.wait()
        tracer.communicate()
        return CheckpointFolder(path), code, code == -9 or "(INJECTED)" in log.read_text()


@pytest.fixture
def saver(server: Server, tmp_path: Path):  # type: ignore[no-untyped-def]
    saver = Saver(server, tmp_path)
    yield saver
    saver.close()


def kinds(names: Iterable[str]) -> list[Any]:
    """The frequent ones take their time."""
    slow = {"open", "close"}
    return [pytest.param(n, marks=[pytest.mark.slow] if n in slow else []) for n in sorted(names)]


def check(folder: CheckpointFolder, code: int, position: int) -> int:
    found = step_in(folder.newest(report=pytest.fail))
    assert found in (2, 3), position
    assert found == 3 or code != 0, f"call {position}: said to be written, but is not there"
    again = CheckpointFolder(folder.path)
    again.write(snapshot(4))  # the next save cleans up and works
    assert step_in(again.newest(report=pytest.fail)) == 4
    assert [name for name in names_in(folder.path) if not (folder.path / name / MANIFEST).exists()] == []
    return found


def outcomes(saver: Saver, calls: str, how: str) -> list[int]:
    """The step found after tampering with the first call, the second, …"""
    found = []
    while True:
        folder, code, tampered = saver.save(calls, how, len(found) + 1)
        found.append(check(folder, code, len(found) + 1))
        if not tampered:
            assert (code, found.pop()) == (0, 3)
            return found


@pytest.mark.parametrize("kind", kinds(CALLS))
def test_killed_at_any_call(saver: Saver, kind: str) -> None:
    found = outcomes(saver, CALLS[kind], "signal=KILL")
    assert found
    assert found == sorted(found)  # old, old, … until it is new, new, …


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("kind", kinds(CALLS.keys() - {"close"}))
def test_refused_at_any_call(saver: Saver, kind: str, error: str) -> None:
    assert outcomes(saver, CALLS[kind], f"error={error}")


@pytest.mark.parametrize("how", ["signal=KILL", "error=ENOSPC"])
def test_at_the_calls_that_matter_most(saver: Saver, how: str) -> None:
    assert outcomes(saver, CALLS["rename"], how) == [2, 2]  # of the folder, of its manifest


def test_every_kind_of_call_is_made(saver: Saver) -> None:
    """Otherwise the tests above would tamper with nothing."""
    assert torch.__version__
    log = saver._folder / "log"
    _, code, _ = saver.save(",".join(CALLS.values()), "error=ENOSPC", 65535)
    assert code == 0
    made = log.read_text()
    assert all(any(f"{name.strip('?')}(" in made for name in names.split(",")) for names in CALLS.values())
