"""What a task left to look at, read from samples/*.json: answers right and wrong, numbers, pictures, text.

The file may hold anything: what cannot be understood is left out. No Textual, no numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcore.text_safety import safe_text
from tui import words
from tui.plain_data import as_number, integer

MOST = 500  # samples
MOST_TEXT = 20_000  # signs
MOST_SIDE = 512  # pixels
MOST_PICTURES = 24  # of one sample
MOST_FRAMES = 500  # of one sample
MOST_FRAME = 4_000  # signs

Pixels = tuple[tuple[tuple[int, int, int], ...], ...]  # rows of red, green, blue


@dataclass(frozen=True)
class Picture:
    """One of the pictures of a sample.

    Attributes:
        name: what it shows, such as ``input`` or ``mask``; "" when there is nothing to tell apart.
    """

    name: str
    pixels: Pixels


@dataclass(frozen=True)
class Sample:
    """One sample with the network's answer.

    Attributes:
        index: its place in the part it comes from; None when not said.
        target, prediction: class names, or numbers to show; "" when there is none.
        right: whether the class is; None where that cannot be said.
        sure: the probability of the answer.
        error: prediction minus target of a number.
        text: generated, or the input as text.
        caption: what to say below the pictures; "" leaves it to target and prediction.
        pictures: the input, what was wanted of it, what was made of it: shown side by side.
        frames: an episode as texts, one a moment, to be stepped through.
    """

    index: int | None = None
    target: str = ""
    prediction: str = ""
    right: bool | None = None
    sure: float | None = None
    error: float | None = None
    text: str = ""
    caption: str = ""
    pictures: tuple[Picture, ...] = ()
    frames: tuple[str, ...] = ()

    def answer(self, room: int) -> str:
        """The prediction, and where it is wrong the target, in so many columns: both names are told of if need be."""
        if self.right is not False:
            return words.fit(self.prediction, room)
        for link in (" not ", " ≠ ", "≠"):
            said = f"{self.prediction}{link}{self.target}"
            if words.cells(said) <= room:
                return said
        half = max(1, (room - 1) // 2)
        first = words.fit(self.prediction, max(half, room - 1 - words.cells(self.target)))
        return f"{first}≠{words.fit(self.target, room - 1 - words.cells(first))}"


@dataclass(frozen=True)
class Samples:
    """All of a file.

    Attributes:
        numbers: targets are numbers, not classes.
    """

    step: int | None
    rows: tuple[Sample, ...]
    numbers: bool = False

    @property
    def judged(self) -> int:
        """How many are right or wrong."""
        return sum(row.right is not None for row in self.rows)

    @property
    def right(self) -> int:
        """How many are right."""
        return sum(row.right is True for row in self.rows)

    @property
    def moments(self) -> int:
        """Frames of the longest episode."""
        return max((len(row.frames) for row in self.rows), default=0)


def parse(content: Any, about: Mapping[str, Any]) -> Samples:
    """Samples of a file.

    Args:
        content: the file's JSON.
        about: run.json, which knows the names of classes and targets.
    """
    if not isinstance(content, Mapping):
        return Samples(None, ())
    listed = content.get("samples")
    spec = about.get("spec")
    names = spec.get("class_names") if isinstance(spec, Mapping) else None
    classes = [safe_text(name, limit=60) for name in names[:10_000]] if isinstance(names, list) else []
    rows = [row for row in listed[:MOST] if isinstance(row, Mapping)] if isinstance(listed, list) else []
    parsed = [_sample(row, classes) for row in rows]
    numbers = any(row.error is not None for row in parsed)
    return Samples(integer(content, "step"), tuple(parsed), numbers)


def _sample(row: Mapping[str, Any], classes: Sequence[str]) -> Sample:
    target, prediction = row.get("target"), row.get("prediction")
    text = row.get("text")
    common: dict[str, Any] = {
        "index": integer(row, "index"),
        "text": safe_text(text, limit=MOST_TEXT, newlines=True) if isinstance(text, str) else "",
        "caption": _said(row.get("caption"), limit=200),
        "pictures": _pictures(row),
        "frames": _frames(row.get("frames")),
    }
    if type(target) is int or type(prediction) is int:
        return Sample(
            target=_label(target, classes),
            prediction=_label(prediction, classes),
            right=target == prediction if target is not None and prediction is not None else None,
            sure=_sure(row.get("probabilities"), prediction),
            **common,
        )
    true, said = _numbers(target), _numbers(prediction)
    if true or said:
        error = said[0] - true[0] if len(true) == len(said) == 1 else None
        return Sample(target=_listed(true), prediction=_listed(said), error=error, **common)
    return Sample(target=_said(target), prediction=_said(prediction), **common)


def _label(value: object, classes: Sequence[str]) -> str:
    if type(value) is int and 0 <= value < len(classes):
        return classes[value]
    return _said(value)


def _said(value: object, limit: int = 60) -> str:
    return "" if value is None else safe_text(value, limit=limit)


def _sure(probabilities: object, prediction: object) -> float | None:
    if not isinstance(probabilities, list) or type(prediction) is not int:
        return None
    value = as_number(probabilities[prediction]) if 0 <= prediction < len(probabilities) else None
    return value if value is not None and 0 <= value <= 1 else None


def _numbers(value: object) -> list[float]:
    listed = value if isinstance(value, list) else [value]
    found = [as_number(entry) for entry in listed[:20]]
    known = [number for number in found if number is not None]
    return known if len(known) == len(found) else []


def _listed(values: Sequence[float]) -> str:
    from tui.words import metric

    return ", ".join(metric(value) for value in values)


def _pictures(row: Mapping[str, Any]) -> tuple[Picture, ...]:
    """The named pictures of a row, or its only one, which needs no name."""
    listed = row.get("pictures")
    if not isinstance(listed, list):
        listed = [{"pixels": row.get("pixels", row.get("image"))}]
    entries = [entry for entry in listed[:MOST_PICTURES] if isinstance(entry, Mapping)]
    found = [(_said(entry.get("name"), limit=40), pixels(entry.get("pixels"))) for entry in entries]
    return tuple(Picture(name, picture) for name, picture in found if picture is not None)


def _frames(value: object) -> tuple[str, ...]:
    listed = value[:MOST_FRAMES] if isinstance(value, list) else []
    return tuple(safe_text(text, limit=MOST_FRAME, newlines=True) for text in listed if isinstance(text, str))


def pixels(value: Any) -> Pixels | None:
    """A picture from nested lists: (rows, columns), (channels, rows, columns) or (rows, columns, channels).

    Values count from 0 to 1, or to 255 where any is above 1; others are stretched to that range.
    """
    planes = _planes(value)
    if planes is None:
        return None
    try:
        flat = [float(x) for plane in planes for row in plane for x in row]
        low, high = min(flat), max(flat)
        if low < 0 or high > 255 or high <= 0:
            scale, offset = (255.0 / (high - low) if high > low else 0.0), low
        else:
            scale, offset = (255.0 if high <= 1 else 1.0), 0.0
        red, green, blue = planes
        return tuple(
            tuple(
                (_byte(r, scale, offset), _byte(g, scale, offset), _byte(b, scale, offset))
                for r, g, b in zip(*rows, strict=True)
            )
            for rows in zip(red, green, blue, strict=True)
        )
    except (TypeError, ValueError, OverflowError):
        return None


def _byte(value: Any, scale: float, offset: float) -> int:
    return min(255, max(0, round((float(value) - offset) * scale)))


def _planes(value: Any) -> tuple[Any, Any, Any] | None:
    """Three planes of rows, the same one thrice where there is no colour."""
    sizes = _sizes(value)
    if len(sizes) == 2:
        return (value, value, value) if max(sizes) <= MOST_SIDE else None
    if len(sizes) != 3:
        return None
    if sizes[0] in (1, 3) and max(sizes[1:]) <= MOST_SIDE:
        return (value[0], value[0], value[0]) if sizes[0] == 1 else (value[0], value[1], value[2])
    if sizes[2] in (1, 3) and max(sizes[:2]) <= MOST_SIDE:
        try:
            planes = [[[pixel[k % sizes[2]] for pixel in row] for row in value] for k in range(3)]
        except (TypeError, LookupError):
            return None
        return planes[0], planes[1], planes[2]
    return None


def _sizes(value: Any) -> list[int]:
    sizes: list[int] = []
    while isinstance(value, list) and value and len(sizes) < 4:
        sizes.append(len(value))
        value = value[0]
    return sizes
