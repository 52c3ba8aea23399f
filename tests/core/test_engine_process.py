"""The engine as its own process, over its pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.support import ENVIRONMENT

LOUD = """
import os
import sys

from torch import nn

print("printed at import")
os.write(1, b"written to the descriptor\\n")
answer = sys.stdin.readline()


class Loud(nn.Module):
    def __init__(self, spec):
        super().__init__()
        print({"id": 1, "answer": "forged"}, flush=True)
        os.system("echo from a child")
        self.layer = nn.Linear(spec.input_shape[0], spec.num_outputs)

    def forward(self, inputs):
        return self.layer(inputs)


class Leaves(nn.Module):
    def __init__(self, spec):
        os._exit(3)
"""


class Process:
    """A running engine, asked one thing at a time."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "dlcore.engine"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=ENVIRONMENT)
        self.count = 0

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        message: dict[str, Any] = json.loads(self.process.stdout.readline())
        return message

    def ask(self, kind: str, **content: Any) -> dict[str, Any]:
        """The last answer to a question."""
        self.count += 1
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": self.count, "ask": kind} | content).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            message = self.hear()
            if message.get("id") == self.count and not message.get("more"):
                return message


@pytest.fixture
def engine() -> Iterator[Process]:
    started = Process()
    with started.process:
        yield started
        started.process.kill()


def test_a_whole_conversation(engine: Process, tmp_path: Path) -> None:
    """One process for several properties, because it takes seconds to start."""
    assert [engine.hear() for _ in range(2)] == [{"hello": 1}, {"ready": True}]
    assert "cnn" in [entry["name"] for entry in engine.ask("catalogue")["answer"]["builders"]["model"]]
    (tmp_path / "loud.py").write_text(LOUD)
    values = {"data": {"name": "moons"}, "model": {"name": "loud.py:Loud"}}
    told = engine.ask("shapes", values=values, base=str(tmp_path))
    assert told["answer"]["state"] == "ok"  # nothing that user code printed came in between
    assert [row["path"] for row in told["answer"]["rows"]] == ["layer", "(loss)"]
    assert "no question" in engine.ask("nonsense")["error"][0]
    assert engine.process.stdin is not None and engine.process.stderr is not None
    engine.process.stdin.close()
    assert engine.process.wait(30) == 0  # it ends with its viewer
    assert engine.process.stderr.read() == b""


def test_user_code_may_end_the_process(engine: Process, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(LOUD)
    values = {"data": {"name": "moons"}, "model": {"name": "loud.py:Leaves"}}
    assert engine.process.stdin is not None and engine.process.stdout is not None
    question = {"id": 1, "ask": "shapes", "values": values, "base": str(tmp_path)}
    engine.process.stdin.write(json.dumps(question).encode() + b"\n")
    engine.process.stdin.flush()
    said = [json.loads(line) for line in engine.process.stdout]
    assert said[-1] == {"working": 1}
    assert engine.process.wait(30) == 3
