"""What would mend a network made of a builder's options: other values of one option, found by trying.

The options that the message speaks of come first, the nearest value of each. Of several that mend it the round
value goes first: 8 heads in place of 7, not a width of 126 in place of 128.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from dlcore.inspection.fixes import MOST_FIXES, Fix
from dlcore.problems import show
from dlcore.registry.schema import Field

MOST_TRIES = 120  # of all options together; small networks take 5 ms each
MOST_NEAR = 30  # values of one option that are tried for being near to what it is
MOST_FAR = 10  # and values that come from elsewhere: the default, numbers in the message, powers of two
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
    refused: Collection[str] = (),
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
        refused: options whose values are not allowed at all: what is near to these is hardly what is meant.
    """
    until = time.monotonic() + seconds
    found: list[Fix] = []
    tries = 0
    for field in sorted(fields, key=lambda each: _rank(each, options.get(each.name), message)):
        given = options.get(field.name)
        for change in _tries(field, given, sizes, message, defaults_first=field.name in refused):
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


def _rank(field: Field, given: Any, message: str) -> tuple[bool, int, bool]:
    """Options that the message names go first, in its order; then those that somebody has set."""
    place = re.search(rf"\b{re.escape(field.name)}\b", message)
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return place is None, place.start() if place else 0, given == default


def _tries(
    field: Field, given: Any, sizes: Sequence[int], message: str, *, defaults_first: bool
) -> Iterator[_Change]:
    """Other values of an option: the nearest, and those that come from elsewhere."""
    near = sorted(_changes(field, given, sizes), key=lambda change: change.cost)[:MOST_NEAR]
    far = list(_far(field, given, message))[:MOST_FAR]
    tried = [given]
    for change in chain(far, near) if defaults_first else chain(near, far):
        if change.value not in tried:
            tried.append(change.value)
            yield change


def _changes(field: Field, given: Any, sizes: Sequence[int]) -> Iterator[_Change]:
    if isinstance(given, bool):
        yield _Change(field.name, not given, 1)
    elif field.choices:
        yield from (_Change(field.name, choice, 1) for choice in field.choices if choice != given)
    elif isinstance(given, int):
        yield from (_Change(field.name, size, 0.5) for size in dict.fromkeys(sizes) if size != given)
        yield from (_Change(field.name, number, _distance(number, given)) for number in _near(given))
    elif _are_whole(given):
        yield from _other_lists(field.name, given)


def _far(field: Field, given: Any, message: str) -> Iterator[_Change]:
    """What the builder takes by itself, what the message speaks of, and round numbers below what was given."""
    default = list(field.default) if isinstance(field.default, list | tuple) else field.default
    if default is not None:
        yield _Change(field.name, default, FARTHEST)
    if _are_whole(default):
        yield from _other_lists(field.name, default)
    elif isinstance(given, int) and not isinstance(given, bool):
        said = (int(number) for number in re.findall(r"\d{1,6}", message))
        yield from (_Change(field.name, number, FARTHEST) for number in chain(said, _rounds(given)))
    elif _are_whole(given):
        for place, size in enumerate(given):
            for number in _rounds(size):
                yield _Change(field.name, [*given[:place], number, *given[place + 1 :]], FARTHEST)


def _rounds(number: int) -> Iterator[int]:
    """Powers of two below, the largest first."""
    return (2**power for power in range(max(0, min(number, 2**20)).bit_length() - 1, -1, -1))


def _are_whole(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(number) is int for number in value)


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
