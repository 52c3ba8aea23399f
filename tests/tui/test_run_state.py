"""The fold: what events add up to, whatever they hold and however they are cut into portions."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.run_state import (
    MAX_NOTICES,
    Best,
    RunState,
    fold,
    fold_all,
    notices_of,
    standing,
    with_snapshot,
)

KINDS = [
    *("created", "started", "resumed", "epoch", "checkpoint", "command", "paused", "continued", "progress"),
    *("warning", "nonfinite", "oom", "samples", "test", "finished", "stopped", "failed", "unheard-of"),
]
KEYS = [
    *(
        "time",
        "epoch",
        "step",
        "metrics",
        "seconds",
        "samples_per_second",
        "lr",
        "best",
        "device",
        "precision",
    ),
    *("parameters", "epochs", "choices", "steps_per_epoch", "monitor", "id", "command", "value", "ok"),
    *("message", "error", "exit", "reason", "by", "layer", "what"),
]


def event(seq: int, kind: str, /, **fields: Any) -> dict[str, Any]:
    return {"seq": seq, "time": 1.7e9 + seq, "event": kind, **fields}


def epoch(seq: int, number: int, *, best: bool = False, **metrics: float) -> dict[str, Any]:
    values = {name.replace("_", "/"): value for name, value in metrics.items()}
    return event(seq, "epoch", epoch=number, step=number * 10, metrics=values, best=best, lr=1e-3)


def strings(value: Any) -> Iterator[str]:
    """Every string inside plain data, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for entry in pair for text in strings(entry))
    elif isinstance(value, (list, tuple)):
        yield from (text for entry in value for text in strings(entry))


STORY = [
    event(1, "created", preset="digits-cnn"),
    event(2, "started", device="cpu", precision="fp32", parameters=421_642, epochs=3, steps_per_epoch=10),
    epoch(3, 1, train_loss=0.9, val_loss=0.8, best=True),
    event(4, "checkpoint", step=10, epoch=1, path="checkpoints/step-00000010", best=True),
    event(5, "paused"),
    event(6, "continued"),
    event(7, "command", id="5f", command="epochs", value=5, ok=True, message="epochs is 5 now"),
    epoch(8, 2, train_loss=0.5, val_loss=0.6, best=True),
    event(9, "test", metrics={"accuracy": 0.97}),
    event(
        10, "finished", seconds=12.5, best={"metric": "val/loss", "value": 0.6, "epoch": 2}, reason="epochs"
    ),
]


def test_a_whole_run_ends_as_its_events_say() -> None:
    state = fold_all(RunState(), STORY)
    assert (state.status, state.preset, state.device, state.parameters) == (
        "finished",
        "digits-cnn",
        "cpu",
        421_642,
    )
    assert (state.epoch, state.epochs, state.step, state.steps) == (2, 5, 20, 50)
    assert state.metrics == {"train/loss": 0.5, "val/loss": 0.6, "test/accuracy": 0.97}
    assert state.best == Best("val/loss", 0.6, 2)
    assert (state.seconds, state.reason, state.seq) == (12.5, "epochs", 10)


@pytest.mark.parametrize("cut", range(len(STORY)))
def test_folding_events_again_changes_nothing(cut: int) -> None:
    once = fold_all(RunState(), STORY)
    assert fold_all(fold_all(RunState(), STORY), STORY[cut:]) == once
    assert fold_all(fold_all(RunState(), STORY[:cut]), STORY) == once


def test_fold_leaves_the_given_state_and_event_alone() -> None:
    before = fold_all(RunState(), STORY[:3])
    kept, given_event = copy.deepcopy(before), copy.deepcopy(STORY[7])
    fold(before, STORY[7])
    assert before == kept
    assert given_event == STORY[7]


def test_a_pause_lasts_until_continued() -> None:
    assert fold_all(RunState(), STORY[:5]).status == "paused"
    assert fold_all(RunState(), STORY[:6]).status == "running"


def test_a_resumed_run_goes_back_to_its_checkpoint_and_forgets_its_end() -> None:
    failed = fold_all(RunState(), [*STORY[:8], event(9, "failed", error="loss is nan", exit=1)])
    assert (failed.status, failed.error, failed.exit) == ("failed", "loss is nan", 1)
    resumed = fold(failed, event(10, "resumed", step=10, epoch=1, same_environment=True, differs=[]))
    assert (resumed.status, resumed.error, resumed.exit) == ("running", "", None)
    assert (resumed.step, resumed.epoch) == (10, 1)


def test_checkpoints_one_after_another_are_one_notice_and_push_nothing_out() -> None:
    warned = fold(RunState(), event(1, "warning", message="the loader is slow"))
    many = (event(number, "checkpoint", step=number) for number in range(2, 2 * MAX_NOTICES))
    notices = fold_all(warned, many).notices
    assert [notice.text for notice in notices] == [
        "the loader is slow",
        f"checkpoint at step {2 * MAX_NOTICES - 1}",
    ]


def test_of_what_comes_with_every_epoch_the_last_is_kept() -> None:
    story = [event(1, "started", device="cpu", precision="fp32", monitor="val/accuracy")]
    for number in range(1, 9):
        story.append(epoch(2 * number, number, best=number in (1, 2, 5), val_accuracy=number / 10))
        story.append(event(2 * number + 1, "checkpoint", step=10 * number))
    notices = fold_all(RunState(), story).notices
    assert [notice.text for notice in notices] == [
        "training on cpu in fp32",
        "best val/accuracy 0.5000 at epoch 5",
        "checkpoint at step 80",
    ]
    warned = fold_all(
        RunState(), [*story, event(90, "warning", message="slow"), event(91, "checkpoint", step=99)]
    )
    assert [notice.text for notice in warned.notices][2:] == [
        "checkpoint at step 80",
        "slow",
        "checkpoint at step 99",
    ]


def test_beginning_and_end_are_told_once_each() -> None:
    story = [*STORY, event(90, "test", metrics={"accuracy": 0.9}), event(91, "finished", reason="epochs")]
    notices = fold_all(RunState(), story).notices
    assert [notice.kind for notice in notices].count("started") == 1
    assert [notice.text for notice in notices][-2:] == ["test/accuracy 0.9000", "finished 2 epochs"]
    assert (
        notices_of(fold_all(RunState(), story), story[-2:]) == []
    )  # a log of the training says it otherwise


def test_a_refused_command_changes_no_figure_and_is_answered() -> None:
    state = fold_all(RunState(), STORY[:2])
    refused = fold(state, event(3, "command", id="a1", command="lr", value=1e-4, ok=False, message="no"))
    assert refused.lr == state.lr
    assert [(answer.id, answer.ok, answer.message) for answer in refused.answers] == [("a1", False, "no")]


def test_null_metrics_read_as_nan_and_words_as_what_they_say() -> None:
    state = fold(
        RunState(), event(1, "epoch", epoch=1, metrics={"train/loss": None, "val/loss": "inf", "x": "word"})
    )
    assert math.isnan(state.metrics["train/loss"])
    assert state.metrics["val/loss"] == math.inf
    assert "x" not in state.metrics


def test_text_from_events_cannot_reach_the_terminal_raw() -> None:
    hostile = "\x1b]0;owned\x07\u202e[red]"
    state = fold_all(
        RunState(),
        [
            event(1, "created", preset=hostile),
            event(2, "started", device=hostile, choices={hostile: hostile}),
            event(3, "warning", message=hostile, kind=hostile),
            event(4, "epoch", epoch=1, metrics={hostile: 1.0}),
            event(5, "command", id=hostile, command=hostile, ok=True, message=hostile),
            event(6, "failed", error=hostile, exit=1),
        ],
    )
    found = list(strings(asdict(state)))
    assert sum("owned" in text for text in found) >= 8
    assert all(text.isprintable() for text in found)


def test_notices_stay_bounded() -> None:
    state = fold_all(
        RunState(), (event(seq, "warning", message=str(seq)) for seq in range(1, 3 * MAX_NOTICES))
    )
    assert len(state.notices) == MAX_NOTICES
    assert state.notices[-1].text == str(3 * MAX_NOTICES - 1)


def test_notices_of_gives_what_the_last_events_said() -> None:
    events = [event(seq, "warning", message=f"warning {seq}") for seq in (1, 2, 3)]
    state = fold_all(RunState(), events)
    assert [notice.text for notice in notices_of(state, events[1:])] == ["warning 2", "warning 3"]
    assert notices_of(state, []) == []


def test_only_a_free_lock_tells_a_dead_run_from_a_living_one() -> None:
    running, finished = fold_all(RunState(), STORY[:3]), fold_all(RunState(), STORY)
    assert (standing(running, held=True), standing(running, held=False)) == ("running", "died")
    assert standing(finished, held=False) == "finished"


def test_a_snapshot_adds_the_figures_within_an_epoch() -> None:
    state = fold_all(RunState(), STORY[:3])
    newer = with_snapshot(
        state, {"step": 17, "epoch": 1, "metrics": {"train/loss": 0.7}, "model": "cnn", "seconds": 3.5}
    )
    assert (newer.step, newer.model, newer.seconds) == (17, "cnn", 3.5)
    assert newer.metrics == {"train/loss": 0.7, "val/loss": 0.8}


def test_a_snapshot_from_before_the_last_event_takes_nothing_back() -> None:
    state = fold_all(RunState(), STORY[:8])
    older = with_snapshot(
        state, {"step": 17, "metrics": {"train/loss": 9.0, "train/accuracy": 0.5}, "data": "digits"}
    )
    assert (older.step, older.data) == (20, "digits")
    assert older.metrics == {"train/accuracy": 0.5, "train/loss": 0.5, "val/loss": 0.6}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.sampled_from(KEYS), PLAIN, max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KINDS), FIELDS), max_size=8), FIELDS)
def test_no_event_makes_the_fold_raise(
    story: list[tuple[str, dict[str, Any]]], snapshot: dict[str, Any]
) -> None:
    events = [{"seq": seq, "event": kind} | fields for seq, (kind, fields) in enumerate(story, 1)]
    state = with_snapshot(fold_all(RunState(), events), snapshot)
    assert state.seq == len(events)
    assert state.status in ("starting", "running", "paused", "finished", "stopped", "failed")


def test_a_pause_is_told_once_by_the_answer_to_the_command() -> None:
    said = event(2, "command", id="5f", command="pause", ok=True, message="Paused at step 1,200.")
    state = fold_all(RunState(), [event(1, "paused", step=1200), said])
    assert state.status == "paused"
    assert [notice.text for notice in state.notices] == ["Paused at step 1,200."]
