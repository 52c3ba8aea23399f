"""A run in plain lines of text: its heading, an epoch, how it ended and what to do next.

The same words in the live progress, in piped output and in `dltui show`; no colour, no markup.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from dlcore.run_dir import RunDir, runs_folder
from dlcore.text_safety import safe_text
from tui import words
from tui.plain_data import integer, metrics, number
from tui.run_state import Best, Event, RunState
from tui.watch import RunWatch

_PARTS = ("train", "val", "test")


def in_order(names: Iterable[str]) -> list[str]:
    """Metric names as people compare them: losses first, each metric's parts together, what it cost last."""

    def rank(name: str) -> tuple[int, str, int, str]:
        part, _, metric = name.partition("/")
        place = _PARTS.index(part) if part in _PARTS else len(_PARTS)
        if words.is_cost(name):
            return 3, part, 0, name
        if "loss" in metric:
            return 0, metric, place, name
        return (2 if part == "train" else 1), metric, place, name

    return sorted(names, key=rank)


def heading(state: RunState) -> list[str]:
    """What is trained and where, as short facts."""
    what = " on ".join(part for part in (state.model, state.data) if part)
    facts = [what or state.preset]
    if state.parameters is not None:
        facts.append(words.plural(state.parameters, "parameter"))
    facts.append(", ".join(part for part in (state.device, state.precision) if part))
    if state.train_samples is not None:
        facts.append(words.plural(state.train_samples, "sample"))
    return [fact for fact in facts if fact]


def epoch_line(event: Event, state: RunState) -> str:
    """A finished epoch on one line, each figure with its name."""
    values = metrics(event)
    parts = [f"epoch {words.progress(integer(event, 'epoch'), state.epochs)}"]
    parts += [f"{name} {words.metric(values[name])}" for name in in_order(values)]
    if event.get("best") is True:
        parts.append("best")
    parts.append(words.speed(number(event, "samples_per_second")))
    parts.append(words.duration(number(event, "seconds")))
    return "  ".join(part for part in parts if part != words.UNKNOWN)


def best(value: Best | None) -> str:
    """``best val/accuracy 0.9861 at epoch 14``, or nothing."""
    return "" if value is None else f"best {value.metric} {words.metric(value.value)} at epoch {value.epoch}"


def outcome(state: RunState, status: str) -> list[str]:
    """How a run ended: first that it did, then what came of it."""
    where = f"at epoch {words.progress(state.epoch, state.epochs)}"
    if status == "finished":
        first = f"finished {words.plural(state.epoch, 'epoch')} in {words.duration(state.seconds)}"
        if state.reason == "patience":
            first += " (no longer getting better)"
        tested = "  ".join(
            f"{name} {words.metric(state.metrics[name])}" for name in in_order(_test_names(state))
        )
        return [part for part in (first, tested, best(state.best)) if part]
    if status == "stopped":
        if state.step == 0:
            return [f"stopped {_by(state.reason)} before the first step"]
        return [f"stopped {where} {_by(state.reason)}, saved"]
    if status == "failed":
        return [f"failed {where}: {state.error}" if state.error else f"failed {where}"]
    if status == "died":
        return [f"died {where}: its process is gone; what its last checkpoint holds is safe"]
    return [f"{status} {where}"]


def end_line(watch: RunWatch) -> str:
    """`outcome` with the run's name, on one line."""
    return f"{watch.name} {', '.join(outcome(watch.state, watch.status))}"


def next_steps(run: RunDir, status: str, *, shown: bool = False) -> list[str]:
    """Commands that make sense now; ``shown`` leaves out what is on the screen already."""
    name = reference(run)
    if status in ("stopped", "died"):
        return [f"dltui resume {name}"]
    steps = [] if shown else [f"dltui show {name}"]
    if status == "failed":
        steps.append(f"log: {safe_text(run.log_path)}")
    if status in ("running", "paused") and shown:
        steps.append(f"dltui show {name} --follow")
    return steps


def reference(run: RunDir) -> str:
    """What to type for this run: its name when it lies in the usual folder, else its path."""
    try:
        usual = run.path.resolve().parent == runs_folder().resolve()
    except OSError:
        usual = False
    return shlex.quote(safe_text(run.name if usual else run.path))


def _by(reason: str) -> str:
    if reason == "SIGINT":
        return "by ctrl+c"
    return f"by {reason}" if reason.startswith("SIG") else "as asked"


def _test_names(state: RunState) -> list[str]:
    """The test metrics to tell in one line: loss, accuracy and the one that decides what is best, else all."""
    names = [name for name in state.metrics if name.startswith("test/")]
    judged = "test/" + state.best.metric.partition("/")[2] if state.best else ""
    told = ("test/loss", "test/accuracy", judged)
    return [name for name in names if name in told] if judged in names else names
