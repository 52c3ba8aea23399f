"""What would mend a network made of a builder's options: other values of one option, found by trying.

The options that the message speaks of come first, the nearest value of each. Of several that mend it the round
value goes first: 8 heads in place of 7, not a width of 126 in place of 128.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dlcore.inspection.fixes import MOST_FIXES, Fix
from dlcore.problems import show
from dlcore.registry.schema import Field

MOST_TRIES = 120  # of all options together; small networks take 5 ms each
FARTHEST = 64  # a whole number is looked for that far from what it is

Works = Callable[[Mapping[str, Any]], bool]


class _Change(NamedTuple):
    """Another value for an option.

    Attributes:
        cost: how far it is from the value given, 0 being nothing.
    """

    key: str
    value: Any
    cost: float


def option_fixes(
    works: Works,
    options: Mapping[str, Any],
    fields: Sequence[Field],
    message: str,
    *,
    sizes: Sequence[int] = (),
    section: str = "model",
    seconds: float = 5.0,
) -> list[Fix]:
    """Changes of a single option with which a batch goes through; the best first, one of each option.

    Args:
        works: whether it does with other options; false for options that are not allowed.
        options: all of them.
        fields: what the builder says about them.
        message: why it does not go through.
        sizes: numbers that an option may have to be, such as those of the tensors that do not fit.
    """
    until = time.monotonic() + seconds
    found: list[Fix] = []
    tries = 0
    for field in sorted(fields, key=lambda each: _rank(each.name, message)):
        given = options.get(field.name)
        changes = sorted(_changes(field, given, sizes), key=lambda change: change.cost)
        for change in changes[: MOST_TRIES // 3]:
            if tries >= MOST_TRIES or time.monotonic() > until:
                return _round_ones_first(found)
            tries += 1
            if works({**options, change.key: change.value}):
                say = (
                    f"{section}.{change.key} = {show(change.value)}"
                    if section != "arg"
                    else f"{change.key}={show(change.value)}"
                )
                found.append(Fix(say, f"it is {show(given)}", {section: {change.key: change.value}}))
                break
        if len(found) >= MOST_FIXES:
            break
    return _round_ones_first(found)


def _round_ones_first(fixes: list[Fix]) -> list[Fix]:
    """Options that were not named stay behind those that were: a sort keeps the order of equals."""

    def roundness(fix: Fix) -> int:
        (value,) = next(iter(fix.set.values())).values()
        return _roundness(value) if type(value) is int else 0

    return sorted(fixes, key=roundness, reverse=True)


def _rank(name: str, message: str) -> tuple[bool, int]:
    """Options that the message names go first, in its order."""
    place = re.search(rf"\b{re.escape(name)}\b", message)
    return place is None, place.start() if place else 0


def _changes(field: Field, given: Any, sizes: Sequence[int]) -> Iterator[_Change]:
    if isinstance(given, bool):
        yield _Change(field.name, not given, 1)
    elif field.choices:
        yield from (_Change(field.name, choice, 1) for choice in field.choices if choice != given)
    elif isinstance(given, int):
        yield from (_Change(field.name, size, 0.5) for size in dict.fromkeys(sizes) if size != given)
        yield from (_Change(field.name, number, _distance(number, given)) for number in _near(given))
    elif isinstance(given, list) and given and all(type(number) is int for number in given):
        yield from _other_lists(field.name, given)


def _near(number: int) -> Iterator[int]:
    for distance in range(1, FARTHEST + 1):
        yield number + distance
        if number - distance >= 0:
            yield number - distance
    yield from (number * 2, number * 4, number // 4)


def _other_lists(name: str, given: Sequence[int]) -> Iterator[_Change]:
    """Shorter ones, the last numbers left out; then one number changed."""
    for length in range(len(given) - 1, 0, -1):
        yield _Change(name, list(given[:length]), len(given) - length)
    for place, number in enumerate(given):
        for near in _near(number):
            changed = [*given[:place], near, *given[place + 1 :]]
            yield _Change(name, changed, len(given) + _distance(near, number))


def _distance(number: int, given: int) -> float:
    """How far apart; of two that are equally far the rounder one is nearer."""
    return abs(number - given) - _roundness(number) / 100


def _roundness(number: int) -> int:
    """How often 2 divides it, at most 10 times."""
    return next((power for power in range(10, 0, -1) if number and number % 2**power == 0), 0)
