"""Which panels of the Run screen are where: a pure function of the size and of what a person chose.

One rule for every size: the panels that are not hidden fill the places in their order, and the last place
holds all that are left, one of them in front. A small terminal has one place, a large one many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from textual.geometry import Region

TWO_ROWS = 24  # lines from which there is a lower row
LOWER = 0.38  # of the lines, for the lower row
LEAST_LOWER = 9


@dataclass(frozen=True)
class Arrangement:
    """What a person chose.

    Attributes:
        order: ids of all panels.
        hidden: those that are not shown.
        front: the one that was asked for last.
        maximised: the one that has all the space; "" for none.
    """

    order: tuple[str, ...]
    hidden: frozenset[str] = frozenset()
    front: str = ""
    maximised: str = ""

    @property
    def visible(self) -> tuple[str, ...]:
        """Those not hidden."""
        return tuple(name for name in self.order if name not in self.hidden)

    def show(self, name: str) -> Arrangement:
        """The panel comes to the front, also when it was hidden or another had all the space."""
        maximised = name if self.maximised else ""
        return replace(self, hidden=self.hidden - {name}, front=name, maximised=maximised)

    def hide(self, name: str) -> Arrangement:
        """The panel goes; the last one stays."""
        if len(self.visible) < 2 or name not in self.visible:
            return self
        front = "" if self.front == name else self.front
        return replace(self, hidden=self.hidden | {name}, front=front, maximised="")

    def maximise(self, name: str) -> Arrangement:
        """All the space for the panel, or no longer."""
        return replace(self.show(name), maximised="" if self.maximised else name)

    def move(self, name: str, by: int) -> Arrangement:
        """The panel changes places with the visible one before or after it."""
        visible = self.visible
        if name not in visible:
            return self
        at = visible.index(name) + by
        if not 0 <= at < len(visible):
            return self
        other = visible[at]
        swap = {name: other, other: name}
        return replace(self, order=tuple(swap.get(each, each) for each in self.order), maximised="")

    def to_plain(self) -> dict[str, Any]:
        """For the preferences; what has all the space is not remembered."""
        return {"order": list(self.order), "hidden": sorted(self.hidden), "front": self.front}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], known: Sequence[str]) -> Arrangement:
        """What was remembered, as far as it makes sense; panels that are new stand at the end."""
        said = plain.get("order")
        order = [name for name in said if name in known] if isinstance(said, list) else []
        order = list(dict.fromkeys([*order, *known]))
        gone = plain.get("hidden")
        hidden = frozenset(name for name in gone if name in known) if isinstance(gone, list) else frozenset()
        if len(hidden) >= len(order):
            hidden = frozenset()
        front = plain.get("front")
        return cls(tuple(order), hidden, front if isinstance(front, str) and front in known else "")


def places(width: int, height: int) -> tuple[int, ...]:
    """How many places each row has."""
    upper = 1 if width < 100 else 2 if width < 170 else 3
    lower = upper if width < 100 else upper + 1
    return (upper, lower) if height >= TWO_ROWS else (upper,)


def seats(chosen: Arrangement, width: int, height: int) -> list[list[str]]:
    """The panels on the screen, row by row."""
    visible = chosen.visible
    if chosen.maximised in visible:
        return [[chosen.maximised]]
    wanted = places(width, height)
    seated = list(visible[: sum(wanted)])
    if len(visible) > len(seated) and chosen.front in visible[len(seated) :]:
        seated[-1] = chosen.front
    rows, taken = [], 0
    for count in wanted:
        rows.append(seated[taken : taken + count])
        taken += count
    return [row for row in rows if row]


def plan(chosen: Arrangement, width: int, height: int, shares: Mapping[str, int]) -> dict[str, Region]:
    """Where each panel on the screen is.

    Args:
        shares: how wide a panel wants to be, relative to the others in a lower row.
    """
    rows = seats(chosen, width, height)
    lower = max(LEAST_LOWER, round(LOWER * height)) if len(rows) > 1 else 0
    placed: dict[str, Region] = {}
    top = 0
    for number, row in enumerate(rows):
        tall = lower if number else height - lower
        wishes = [shares.get(name, 1) if number else 1 for name in row]
        left, total = 0, sum(wishes)
        for at, name in enumerate(row):
            right = width * sum(wishes[: at + 1]) // total
            placed[name] = Region(left, top, right - left, tall)
            left = right
        top += tall
    return placed
