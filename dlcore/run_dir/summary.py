"""What listings show of a run, read from its state.json and its lock; never raises.

A finished run costs one open, one read and one JSON object. Only where the state claims that a worker
lives is the lock asked: a claim without a lock is a run that died.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dlcore.events import EventReader
from dlcore.json_lines import decode
from dlcore.run_dir.lock import is_locked
from dlcore.text_safety import safe_text

ALIVE = ("starting", "running", "paused")
ENDED = ("finished", "stopped", "failed")
_START_SECONDS = 30.0
_STATE_BYTES = 1 << 20
_TEXTS = ("preset", "model", "data", "device", "error")
_COUNTS = ("epoch", "epochs", "step", "steps", "parameters", "pid")
_NUMBERS = ("seconds", "samples_per_second", "lr", "updated", "created")


@dataclass(frozen=True)
class RunSummary:
    """One run in a listing. Texts are safe to print; what is not known is "", 0 or None.

    Attributes:
        status: running, paused, finished, stopped, failed, died or starting.
        created, updated: Unix seconds.
        best: ``{"metric", "value", "epoch"}`` or None.
        metrics: latest value by name; None for one that was not finite.
        error: why a failed run failed, one line.
        damaged: state.json could not be read and the events were asked instead.
    """

    name: str
    path: Path
    status: str = "died"
    preset: str = ""
    model: str = ""
    data: str = ""
    device: str = ""
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    samples_per_second: float = 0.0
    lr: float = 0.0
    parameters: int = 0
    best: dict[str, Any] | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    created: float = 0.0
    updated: float = 0.0
    pid: int = 0
    error: str = ""
    damaged: bool = False

    @property
    def alive(self) -> bool:
        """Whether a worker holds it or is just being started."""
        return self.status in ALIVE

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {**asdict(self), "path": str(self.path)}


def summarise(folder: str, name: str) -> RunSummary | None:
    """Summary of a folder, or None where nothing in it comes from a run."""
    state = _read_json(f"{folder}/state.json")
    damaged = state is None
    if state is None:
        state = _state_from_events(folder)
        if state is None:
            return None
    values = _cleaned(state)
    status = state.get("status")
    if status not in ENDED and is_locked(f"{folder}/worker.lock"):
        values["status"] = status if status in ALIVE else "running"
    elif status not in ENDED:
        # The worker may have ended between the two looks; it writes its last state before it lets go.
        again = _read_json(f"{folder}/state.json") or state
        values = _cleaned(again)
        status = again.get("status")
        values["status"] = status if status in ENDED else "starting" if _is_fresh(folder, again) else "died"
    else:
        values["status"] = status
    if not values.get("created"):
        values["created"] = created(folder, name)
    shown = name if name.isprintable() else safe_text(name)
    return RunSummary(shown, Path(folder), damaged=damaged, **values)


def _cleaned(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have the type they should have; the file may hold anything."""
    values: dict[str, Any] = {}
    for key in _TEXTS:
        text = state.get(key)
        if isinstance(text, str):
            values[key] = safe_text(text)
    for key in _COUNTS:
        if type(state.get(key)) is int and 0 <= state[key] < 1 << 63:
            values[key] = state[key]
    for key in _NUMBERS:
        number = _number(state.get(key))
        if number is not None:
            values[key] = number
    metrics = state.get("metrics")
    if isinstance(metrics, dict):
        values["metrics"] = {safe_text(key, limit=200): _number(value) for key, value in metrics.items()}
    best = state.get("best")
    if isinstance(best, dict):
        values["best"] = {
            "metric": safe_text(best.get("metric", ""), limit=200),
            "value": _number(best.get("value")),
            "epoch": int(_number(best.get("epoch")) or 0),
        }
    return values


def _number(value: object) -> float | None:
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is int:
        return value if abs(value) < 1 << 63 else None
    return None


def _state_from_events(folder: str) -> dict[str, Any] | None:
    """The state that the events tell, for a state.json that is lost."""
    if not any(os.path.lexists(f"{folder}/{file}") for file in ("state.json", "run.json", "events.jsonl")):
        return None
    state: dict[str, Any] = {}
    for event in EventReader(f"{folder}/events.jsonl").read():
        match event["event"]:
            case "created" | "started" | "epoch" as kind:
                keys = {*_TEXTS, *_COUNTS, *_NUMBERS, "metrics"} - {"error", "pid"}
                state |= {key: event[key] for key in keys & event.keys()}
                if kind == "created":
                    state["created"] = event.get("time")
                if kind == "epoch" and event.get("best") is True:
                    state["best"] = {"epoch": event.get("epoch")}
            case "test":
                state["metrics"] = {**_mapping(state.get("metrics")), **_mapping(event.get("metrics"))}
            case "finished" | "stopped" | "failed" as status:
                state |= {"status": status, "error": event.get("error")}
                state["best"] = event.get("best") or state.get("best")
            case "resumed" | "continued":
                state["status"] = "running"
            case "paused":
                state["status"] = "paused"
        state["updated"] = event.get("time")
    return state


def _is_fresh(folder: str, state: Mapping[str, Any]) -> bool:
    """Whether a worker is on its way: made just now, and nobody ever held the lock."""
    age = abs(time.time() - (_number(state.get("created")) or 0.0))
    return (
        state.get("status") == "starting"
        and age < _START_SECONDS
        and not Path(folder, "worker.lock").exists()
    )


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def created(folder: str, name: str) -> float:
    """When a run was made, Unix seconds: as it says itself, else from the time in its name, else 0."""
    for file in ("run.json", "state.json"):
        said = _number((_read_json(f"{folder}/{file}") or {}).get("created"))
        if said:
            return said
    try:
        return time.mktime(time.strptime(name[:15], "%Y%m%d-%H%M%S"))
    except (ValueError, OverflowError):
        return 0.0


def _read_json(path: str) -> dict[str, Any] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a planted FIFO must not hang
        try:
            return decode(os.read(descriptor, _STATE_BYTES))
        finally:
            os.close(descriptor)
    except OSError:
        return None
