"""An evaluation as the engine tells it, made safe to show; and what a person wants to see of its samples.

No Textual, no numpy. What has another shape than expected counts as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dlcore.text_safety import safe_text
from tui import plain_data, words

MOST_CLASSES = 10_000
BANDS = ((0.0, 1.0), (0.99, 1.0), (0.9, 0.99), (0.5, 0.9), (0.0, 0.5))
"""Of confidence, in the order in which one key goes through them."""

VERDICTS = ("wrong", "right", "")


@dataclass(frozen=True)
class Judged:
    """What the engine said last.

    Attributes:
        state: ``loading``, ``measuring`` or ``done``.
        done, samples: how far it is.
        split, data, checkpoint: what was measured.
        sections: of the task's report, by name, as plain data.
        classes: names, by their codes.
        sorted_by: ``class`` where samples are right or wrong, ``error`` where they are off by more or less.
    """

    state: str = "loading"
    done: int = 0
    samples: int = 0
    split: str = ""
    data: str = ""
    checkpoint: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    sorted_by: str = ""


def parse(answer: Any) -> Judged:
    """The engine's answer."""
    if not isinstance(answer, Mapping):
        return Judged()
    state = plain_data.text(answer, "state", limit=20)
    if state != "done":
        done, samples = (plain_data.integer(answer, name) or 0 for name in ("done", "samples"))
        return Judged(state, done, samples)
    found = answer.get("result")
    result: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    samples = plain_data.integer(result, "samples") or 0
    sections = result.get("report")
    sections = sections if isinstance(sections, Mapping) else {}
    notes, classes = result.get("notes"), answer.get("classes")
    return Judged(
        "done", samples, samples,
        plain_data.text(result, "split", limit=20), plain_data.text(result, "data", limit=80),
        _checkpoint(result.get("checkpoint")),
        plain_data.metrics(result),
        {safe_text(name, limit=40): each for name, each in sections.items() if isinstance(each, Mapping)},
        tuple(safe_text(note, limit=300) for note in notes[:20]) if isinstance(notes, list) else (),
        tuple(safe_text(name, limit=60) for name in classes[:MOST_CLASSES]) if isinstance(classes, list) else (),
        plain_data.text(answer, "sorted_by", limit=20),
    )  # fmt: skip


def _checkpoint(value: Any) -> str:
    if not isinstance(value, Mapping):
        return ""
    epoch, step = plain_data.integer(value, "epoch"), plain_data.integer(value, "step")
    best = "best, " if value.get("best") is True else ""
    return f"{best}epoch {words.count(epoch)}, step {words.count(step)}"


class Wish(NamedTuple):
    """Which samples, in which order, from which on.

    Attributes:
        verdict: ``right``, ``wrong``, or "" for both.
        target, prediction: codes of classes, None for any.
        band: place in `BANDS`.
        descending: the most sure, or the most wrong, first.
    """

    verdict: str = "wrong"
    target: int | None = None
    prediction: int | None = None
    band: int = 0
    descending: bool = True
    offset: int = 0

    def question(self) -> dict[str, Any]:
        """As the engine wants it."""
        low, high = BANDS[self.band]
        return {
            "verdict": self.verdict, "target": self.target, "prediction": self.prediction, "low": low,
            "high": high, "descending": self.descending, "offset": self.offset,
        }  # fmt: skip

    def told(self, judged: Judged) -> str:
        """What is shown, in a few words."""
        if judged.sorted_by == "error":
            return "worst first" if self.descending else "best first"
        if judged.sorted_by != "class":
            return ""
        parts = [self.verdict or "right and wrong"]
        parts += [f"true {_name(judged, self.target)}"] if self.target is not None else []
        parts += [f"taken for {_name(judged, self.prediction)}"] if self.prediction is not None else []
        low, high = BANDS[self.band]
        parts += [f"{low:.0%} to {high:.0%} sure".replace("%", " %")] if self.band else []
        parts += [] if self.descending else ["least sure first"]
        return " · ".join(parts)


def _name(judged: Judged, code: int) -> str:
    return judged.classes[code] if 0 <= code < len(judged.classes) else str(code)


def changed(wish: Wish, **changes: Any) -> Wish:
    """Another wish, from its first sample on."""
    return wish._replace(offset=0)._replace(**changes)


def next_of(options: tuple[Any, ...], now: Any) -> Any:
    """The option behind this one, the first one behind the last."""
    return options[(options.index(now) + 1) % len(options)] if now in options else options[0]
