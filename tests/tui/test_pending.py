"""Commands wait for the worker's own word, in whatever order it comes."""

from __future__ import annotations

from tui.pending import Outcome, Pending
from tui.run_state import Answer


def answer(id: str, command: str, *, ok: bool = True, message: str = "") -> Answer:
    return Answer(id, command, ok, message)


def test_an_answer_settles_its_command_and_no_other() -> None:
    pending = Pending()
    pending.add("a", "pause")
    pending.add("b", "lr", 1e-4)
    assert pending.text == "pausing, learning rate 1e-4"
    assert pending.settle([answer("b", "lr", message="Learning rate 0.0001.")]) == [
        Outcome(True, "Learning rate 0.0001.")
    ]
    assert (len(pending), pending.text) == (1, "pausing")


def test_a_refusal_keeps_the_worker_s_words() -> None:
    pending = Pending()
    pending.add("a", "epochs", 3)
    settled = pending.settle([answer("a", "epochs", ok=False, message="epochs must be above 7.")])
    assert settled == [Outcome(False, "epochs must be above 7.")]


def test_an_answer_without_words_says_what_was_done() -> None:
    pending = Pending()
    pending.add("a", "save")
    pending.add("b", "evaluate")
    settled = pending.settle([answer("a", "save"), answer("b", "evaluate", ok=False)])
    assert [outcome.message for outcome in settled] == ["saving a checkpoint: done", "evaluating: refused"]


def test_answers_of_earlier_days_and_of_other_viewers_settle_nothing() -> None:
    pending = Pending()
    assert pending.settle([answer("x", "pause", message="Paused.")]) == []
    pending.add("a", "continue")
    assert pending.settle([answer("x", "pause", message="Paused.")]) == []
    assert len(pending) == 1


def test_an_answer_that_was_faster_than_the_note_of_the_question_counts() -> None:
    pending = Pending()
    pending.settle([answer("a", "save", message="Saving step 5.")])
    assert pending.add("a", "save") == Outcome(True, "Saving step 5.")
    assert len(pending) == 0


def test_an_answer_is_told_once() -> None:
    pending = Pending()
    pending.add("a", "pause")
    answers = [answer("a", "pause", message="Paused.")]
    assert len(pending.settle(answers)) == 1
    assert pending.settle(answers) == []


def test_what_is_asked_of_a_run_that_ends_was_not_done() -> None:
    pending = Pending()
    pending.add("a", "evaluate")
    lost = pending.give_up()
    assert [outcome.ok for outcome in lost] == [False]
    assert "evaluating" in lost[0].message
    assert pending.give_up() == []
