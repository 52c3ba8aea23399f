"""What a run's events add up to: `fold(state, event) -> state`, pure, and the same for every viewer.

A run directory may be torn, hostile or written by a newer version, so folding never raises: a field of the
wrong type counts as missing and an unknown kind of event changes nothing. A state's size is bounded
however long the run: metrics are kept as their latest values, notices as the last `MAX_NOTICES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tui import words
from tui.plain_data import MAX_METRICS, as_number, first, integer, metrics, number, text, texts

Level = Literal["info", "warning", "error"]
Event = Mapping[str, Any]

MAX_NOTICES = 200
ROUTINE = (
    "started",
    "best",
    "checkpoint",
    "test",
    "finished",
    "stopped",
)  # notices that ask for no attention
_TOLD_OTHERWISE = (*ROUTINE, "failed", "refused", "nonfinite")
LIVE = ("starting", "running", "paused")


@dataclass(frozen=True)
class Best:
    """The best value so far of the metric the run is judged by. Epochs count from 1."""

    metric: str
    value: float
    epoch: int


@dataclass(frozen=True)
class Notice:
    """One thing that happened, in words. ``time`` is unix seconds, only to be shown."""

    seq: int
    time: float
    kind: str
    text: str
    level: Level = "info"


@dataclass(frozen=True)
class Answer:
    """What the worker did with one command of a viewer."""

    id: str
    command: str
    ok: bool
    message: str


@dataclass(frozen=True)
class RunState:
    """A run as its events tell it.

    Attributes:
        seq: sequence number of the last event folded; an event at or below it is not folded again.
        status: starting, running, paused, finished, stopped or failed. Only the lock can tell a run
            that died from one that lives: see `standing`.
        epoch: whole epochs done, so 1 after the first.
        seconds: training time of all sessions, 0 until the worker has said it.
        metrics: latest value of each, test metrics included.
        monitor: name of the metric that decides what is best.
        best: None until an epoch was judged.
        reason: why it ended: epochs, patience, max_steps, a signal's name.
        choices: what each "auto" became, and why.
        memory: bytes of a training step at its peak, by part, as it was measured.
        doing: what the worker says it is at before the first step, such as a download.
        notices: the latest, oldest first.
        answers: to viewers' commands, the latest, oldest first.
    """

    seq: int = 0
    status: str = "starting"
    preset: str = ""
    model: str = ""
    data: str = ""
    device: str = ""
    precision: str = ""
    parameters: int | None = None
    train_samples: int | None = None
    val_samples: int | None = None
    test_samples: int | None = None
    steps_per_epoch: int | None = None
    epochs: int | None = None
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    samples_per_second: float | None = None
    lr: float | None = None
    monitor: str = ""
    best: Best | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)
    doing: str = ""
    reason: str = ""
    error: str = ""
    exit: int | None = None
    notices: tuple[Notice, ...] = ()
    answers: tuple[Answer, ...] = ()

    @property
    def steps(self) -> int | None:
        """Steps of the whole run, when known."""
        if self.epochs is None or self.steps_per_epoch is None:
            return None
        return self.epochs * self.steps_per_epoch

    @property
    def ended(self) -> bool:
        """The worker has said that it ended."""
        return self.status not in LIVE


def fold(state: RunState, event: Event) -> RunState:
    """The state after one more event; an event already folded changes nothing."""
    seq = integer(event, "seq")
    if seq is None or seq <= state.seq:
        return state
    change = _CHANGES.get(str(event.get("event")))
    changed = state if change is None else change(state, event)
    return replace(changed, seq=seq)


def fold_all(state: RunState, events: Iterable[Event]) -> RunState:
    """The state after many events."""
    for event in events:
        state = fold(state, event)
    return state


def with_snapshot(state: RunState, snapshot: Mapping[str, Any]) -> RunState:
    """The state with the finer figures of state.json, which is written more often than epochs end.

    A snapshot from before the last event (a smaller step) only fills what is still unknown.
    """
    step = integer(snapshot, "step")
    filled = replace(
        state,
        preset=state.preset or text(snapshot, "preset"),
        model=state.model or text(snapshot, "model"),
        data=state.data or text(snapshot, "data"),
        device=state.device or text(snapshot, "device"),
        error=state.error or text(snapshot, "error") if state.status == "failed" else state.error,
        best=state.best or _best(snapshot.get("best")),
        parameters=state.parameters if state.parameters is not None else integer(snapshot, "parameters"),
        epochs=state.epochs if state.epochs is not None else integer(snapshot, "epochs"),
        metrics=_merged(metrics(snapshot), state.metrics),
    )
    if step is None or step < state.step:
        return filled
    return replace(
        filled,
        step=step,
        epoch=max(state.epoch, integer(snapshot, "epoch") or 0),
        seconds=first(number(snapshot, "seconds"), default=state.seconds),
        samples_per_second=first(number(snapshot, "samples_per_second"), default=state.samples_per_second),
        lr=first(number(snapshot, "lr"), default=state.lr),
        best=_best(snapshot.get("best")) or state.best,
        metrics=_merged(state.metrics, metrics(snapshot)),
    )


def standing(state: RunState, held: bool) -> str:
    """The status to show: a run that should be alive but whose lock nobody holds has died."""
    return "died" if state.status in LIVE and not held else state.status


def notices_of(state: RunState, fresh: Sequence[Event]) -> list[Notice]:
    """The notices that the last events folded gave rise to and that a log of the training should show."""
    since = integer(fresh[0], "seq") if fresh else None
    if since is None:
        return []
    return [notice for notice in state.notices if notice.seq >= since and notice.kind not in _TOLD_OTHERWISE]


# One function for each kind of event.


def _created(state: RunState, event: Event) -> RunState:
    return replace(state, preset=text(event, "preset") or state.preset)


def _started(state: RunState, event: Event) -> RunState:
    began = replace(
        state,
        status="running",
        device=text(event, "device") or state.device,
        precision=text(event, "precision") or state.precision,
        parameters=first(integer(event, "parameters"), default=state.parameters),
        train_samples=first(integer(event, "train_samples"), default=state.train_samples),
        val_samples=first(integer(event, "val_samples"), default=state.val_samples),
        test_samples=first(integer(event, "test_samples"), default=state.test_samples),
        epochs=first(integer(event, "epochs"), default=state.epochs),
        steps_per_epoch=first(integer(event, "steps_per_epoch"), default=state.steps_per_epoch),
        monitor=text(event, "monitor", limit=80) or state.monitor,
        choices=texts(event, "choices") or state.choices,
        doing="",
        reason="",
        error="",
        exit=None,
    )
    how = f" on {began.device}" if began.device else ""
    return _noted(began, event, f"training{how}{f' in {began.precision}' if began.precision else ''}")


def _resumed(state: RunState, event: Event) -> RunState:
    step = first(integer(event, "step"), default=state.step)
    epoch = first(integer(event, "epoch"), default=state.epoch)
    state = replace(state, status="running", step=step, epoch=epoch, doing="", reason="", error="", exit=None)
    return _noted(state, event, f"resumed at step {step:,}")


def _epoch(state: RunState, event: Event) -> RunState:
    epoch = first(integer(event, "epoch"), default=state.epoch)
    latest = metrics(event)
    best = state.best
    if event.get("best") is True:
        metric = state.monitor or (best.metric if best else "")
        best = Best(metric, latest[metric], epoch) if metric in latest else best
        if best is not None and best.epoch == epoch:
            state = _noted_last(
                state, event, "best", f"best {words.result(best.metric, best.value)} at epoch {epoch:,}"
            )
    return replace(
        state,
        epoch=epoch,
        step=first(integer(event, "step"), default=state.step),
        samples_per_second=first(number(event, "samples_per_second"), default=state.samples_per_second),
        lr=first(number(event, "lr"), default=state.lr),
        metrics=_merged(state.metrics, latest),
        best=best,
        doing="",
    )


def _checkpoint(state: RunState, event: Event) -> RunState:
    return _noted_last(state, event, "checkpoint", f"checkpoint at step {integer(event, 'step') or 0:,}")


def _command(state: RunState, event: Event) -> RunState:
    command, ok = text(event, "command"), event.get("ok") is not False
    answer = Answer(text(event, "id"), command, ok, text(event, "message"))
    state = replace(state, answers=(*state.answers, answer)[-MAX_NOTICES:])
    value = as_number(event.get("value"))
    epochs = integer(event, "value")
    if ok and command == "epochs" and epochs is not None:
        state = replace(state, epochs=epochs)
    if ok and command == "lr" and value is not None:
        state = replace(state, lr=value)
    said = answer.message or f"{command}: {'done' if ok else 'refused'}"
    return _noted(state, event, said, "info" if ok else "warning")


def _doing(state: RunState, event: Event) -> RunState:
    return replace(state, doing=text(event, "message"))


def _warning(state: RunState, event: Event) -> RunState:
    return _noted(state, event, text(event, "message", limit=2000), "warning")


def _nonfinite(state: RunState, event: Event) -> RunState:
    what, layer = text(event, "what") or "value", text(event, "layer")
    where = f" in {layer}" if layer else ""
    return _noted(state, event, f"non-finite {what}{where} at step {integer(event, 'step') or 0:,}", "error")


def _test(state: RunState, event: Event) -> RunState:
    found = {name if name.startswith("test/") else f"test/{name}": x for name, x in metrics(event).items()}
    state = replace(state, metrics=_merged(state.metrics, found))
    return _noted(state, event, "   ".join(words.result(name, found[name]) for name in list(found)[:3]))


def _finished(state: RunState, event: Event) -> RunState:
    finished = replace(
        state,
        status="finished",
        seconds=first(number(event, "seconds"), default=state.seconds),
        best=_best(event.get("best")) or state.best,
        reason=text(event, "reason"),
    )
    return _noted(finished, event, f"finished {words.plural(finished.epoch, 'epoch')}")


def _stopped(state: RunState, event: Event) -> RunState:
    state = replace(state, status="stopped", reason=text(event, "by"), exit=integer(event, "exit"))
    return _noted(state, event, f"saved and stopped at step {state.step:,}")


def _failed(state: RunState, event: Event) -> RunState:
    error = text(event, "error", limit=2000)
    state = replace(state, status="failed", error=error, exit=integer(event, "exit"))
    return _noted(state, event, error, "error")


def _finding(state: RunState, event: Event) -> RunState:
    level: Level = "error" if event.get("severity") == "error" else "warning"
    return _noted(state, event, f"doctor: {text(event, 'what')}", level)


def _memory(state: RunState, event: Event) -> RunState:
    sizes = {name: integer(event, name) for name in event if name not in ("seq", "step")}
    return replace(state, memory={name: size for name, size in sizes.items() if size is not None})


_CHANGES: dict[str, Callable[[RunState, Event], RunState]] = {
    "created": _created,
    "started": _started,
    "resumed": _resumed,
    "epoch": _epoch,
    "checkpoint": _checkpoint,
    "command": _command,
    "paused": lambda state, _: replace(state, status="paused"),  # the answer to the command tells it
    "continued": lambda state, _: replace(state, status="running"),
    "weights": lambda state, event: _noted(state, event, f"weights: {text(event, 'message')}"),
    "progress": _doing,
    "warning": _warning,
    "memory": _memory,
    "nonfinite": _nonfinite,
    "finding": _finding,
    "test": _test,
    "finished": _finished,
    "stopped": _stopped,
    "failed": _failed,
}


def _noted(state: RunState, event: Event, said: str, level: Level = "info") -> RunState:
    seq, time = integer(event, "seq") or 0, first(number(event, "time"), default=0.0)
    kind = "refused" if event.get("kind") == "refused" else text(event, "event", limit=40)
    notice = Notice(seq, time, kind, said, level)
    return replace(state, notices=(*state.notices, notice)[-MAX_NOTICES:])


def _noted_last(state: RunState, event: Event, kind: str, said: str) -> RunState:
    """Of what comes with every epoch the last is kept: a long run would otherwise push out all that matters."""
    kept = len(state.notices)
    while kept and state.notices[kept - 1].kind in ("best", "checkpoint"):
        kept -= 1
    rest = [notice for notice in state.notices[kept:] if notice.kind != kind]
    notice = Notice(integer(event, "seq") or 0, first(number(event, "time"), default=0.0), kind, said)
    return replace(state, notices=(*state.notices[:kept], *rest, notice)[-MAX_NOTICES:])


def _merged(older: Mapping[str, float], newer: Mapping[str, float]) -> dict[str, float]:
    together = {**older, **newer}
    return dict(list(together.items())[:MAX_METRICS])


def _best(value: object) -> Best | None:
    if not isinstance(value, Mapping):
        return None
    figure = number(value, "value")
    if figure is None:
        return None
    return Best(text(value, "metric", limit=80), figure, integer(value, "epoch") or 0)
