"""The engine's client against a small process that speaks its protocol and misbehaves when asked to."""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tui.engine_client import EngineClient
from tui.messages import EngineAnswered

ENGINE = """
import json, os, sys, time

starts = sys.argv[1]
with open(starts, "a") as file:
    file.write(f"{os.getpid()}\\n")
how = sys.argv[2]


def say(**message):
    print(json.dumps(message), flush=True)


say(hello=1)
if how == "failed":
    say(failed=["ModuleNotFoundError: No module named 'torch'"])
    sys.exit(1)
if how == "dies":
    sys.exit(7)
say(ready=True)
for line in sys.stdin:
    question = json.loads(line)
    number, deed = question["id"], question.get("do")
    say(working=number)
    if deed == "die":
        os._exit(3)
    if deed == "die once" and sum(1 for _ in open(starts)) == 1:
        os.kill(os.getpid(), 9)
    if deed == "hang":
        time.sleep(600)
    if deed == "guess":
        say(id=number, answer="guess", more=True)
    if deed == "noise":
        print("no json")
        print('{"id": 99, "answer": 1}')
        print("[" * 100000)
    if deed == "fail":
        say(id=number, error=["it \\x1b[31m cannot"])
    else:
        say(id=number, answer=[question["ask"], deed])
"""
PATIENCE = 30.0


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    """A file with the process id of every engine that was started, a line each."""
    return tmp_path / "starts"


@pytest.fixture
def make(tmp_path: Path, starts: Path) -> Iterator[Callable[..., EngineClient]]:
    """Makes clients of such a process."""
    script = tmp_path / "engine.py"
    script.write_text(ENGINE)
    made: list[EngineClient] = []

    def client(how: str = "", **options: Any) -> EngineClient:
        made.append(EngineClient([sys.executable, "-I", "-S", str(script), str(starts), how], **options))
        return made[-1]

    yield client
    for each in made:
        each.close()


class Box:
    """Takes answers."""

    def __init__(self) -> None:
        self._answers: queue.Queue[EngineAnswered] = queue.Queue()

    def __call__(self, message: Any) -> None:
        self._answers.put(message)

    def next(self) -> EngineAnswered:
        return self._answers.get(timeout=PATIENCE)

    @property
    def empty(self) -> bool:
        return self._answers.empty()


def pids(starts: Path) -> list[int]:
    return [int(line) for line in starts.read_text().split()]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_answer_comes_to_who_asked(make: Callable[..., EngineClient]) -> None:
    client, one, other = make(), Box(), Box()
    first = client.ask(one, "validate", do="this")
    second = client.ask(other, "toml", do="that")
    answer = other.next()
    assert (answer.id, answer.kind, answer.answer, answer.errors) == (second, "toml", ["toml", "that"], ())
    assert one.next().id == first and one.empty


def test_asking_starts_nothing_twice(make: Callable[..., EngineClient], starts: Path) -> None:
    client, box = make(), Box()
    for _ in range(3):
        client.ask(box, "toml")
        box.next()
    assert len(pids(starts)) == 1


def test_warming_up_starts_it_before_a_question(make: Callable[..., EngineClient], starts: Path) -> None:
    client, box = make(), Box()
    client.warm_up()
    client.ask(box, "toml")
    box.next()
    assert len(pids(starts)) == 1


def test_an_error_is_an_answer_and_safe_to_print(make: Callable[..., EngineClient]) -> None:
    client, box = make(), Box()
    client.ask(box, "toml", do="fail")
    answer = box.next()
    assert answer.answer is None and answer.errors == ("it \\x1b[31m cannot",)


def test_a_better_answer_comes_after_a_guess(make: Callable[..., EngineClient]) -> None:
    client, box = make(), Box()
    client.ask(box, "shapes", do="guess")
    assert [box.next().answer, box.next().answer] == ["guess", ["shapes", "guess"]]


def test_noise_on_the_pipe_is_passed_over(make: Callable[..., EngineClient]) -> None:
    client, box = make(), Box()
    client.ask(box, "shapes", do="noise")
    assert box.next().answer == ["shapes", "noise"] and box.empty


def test_a_dead_engine_is_started_again_and_asked_once_more(
    make: Callable[..., EngineClient], starts: Path
) -> None:
    client, box = make(), Box()
    client.ask(box, "shapes", do="die once")
    assert box.next().answer == ["shapes", "die once"]
    assert len(pids(starts)) == 2


def test_a_question_that_kills_it_twice_is_answered_with_how_it_ended(
    make: Callable[..., EngineClient], starts: Path
) -> None:
    client, box, other = make(), Box(), Box()
    client.ask(box, "shapes", do="die")
    answer = box.next()
    assert answer.answer is None and "exit code 3" in answer.errors[0]
    client.ask(other, "toml", do="after")
    assert other.next().answer == ["toml", "after"]


def test_a_hung_engine_is_ended_and_the_other_questions_are_answered(
    make: Callable[..., EngineClient], starts: Path
) -> None:
    client, box, other = make(longest_wait=0.5), Box(), Box()
    client.ask(box, "shapes", do="hang")
    client.ask(other, "toml", do="waits")
    assert "No answer within 0.5 s" in box.next().errors[0]
    assert other.next().answer == ["toml", "waits"]
    assert not is_running(pids(starts)[0])


def test_an_idle_engine_may_be_silent_for_as_long_as_it_likes(
    make: Callable[..., EngineClient], starts: Path
) -> None:
    client, box = make(longest_wait=0.2), Box()
    client.ask(box, "shapes", do="guess")
    box.next(), box.next()
    assert client._time_left() is None and len(pids(starts)) == 1


def test_an_engine_that_cannot_load_what_it_needs_says_why_and_is_not_tried_again(
    make: Callable[..., EngineClient], starts: Path
) -> None:
    client, box = make("failed"), Box()
    client.ask(box, "catalogue")
    assert "No module named 'torch'" in box.next().errors[1]
    client.ask(box, "catalogue")
    assert "No module named 'torch'" in box.next().errors[1]
    assert len(pids(starts)) == 1
    client.restart()
    client.ask(box, "catalogue")
    box.next()
    assert len(pids(starts)) == 2


def test_an_engine_that_dies_at_its_start_is_tried_twice(
    make: Callable[..., EngineClient], starts: Path
) -> None:
    client, box = make("dies"), Box()
    client.ask(box, "catalogue")
    assert any("exit code 7" in line for line in box.next().errors)
    assert len(pids(starts)) == 2


def test_a_command_that_does_not_exist_is_an_error() -> None:
    client, box = EngineClient(["/no/such/program"]), Box()
    client.ask(box, "catalogue")
    assert "cannot be started" in box.next().errors[0]
    client.close()


def test_closing_ends_the_process_even_while_it_hangs(
    make: Callable[..., EngineClient], starts: Path
) -> None:
    client, box = make(), Box()
    client.ask(box, "toml")
    box.next()
    client.ask(box, "shapes", do="hang")
    client.close()
    assert not is_running(pids(starts)[0]) and box.empty


def test_a_closed_client_answers_nothing_and_starts_nothing(
    make: Callable[..., EngineClient], starts: Path
) -> None:
    client, box = make(), Box()
    client.close()
    client.ask(box, "toml")
    client.warm_up()
    assert box.empty and not starts.exists()
