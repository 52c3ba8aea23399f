"""What would mend a forward pass, found by trying: no fix is offered that was not run.

Every guess is made in the text of the user's program and the program is run with it on meta tensors. Guesses
that mend it at once go first; where none does, those that get further are built upon, up to `MOST_STEPS`.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from dlcore.inspection.programs import Attempt, Program, text_of
from dlcore.inspection.repairs.constructors import constructor_repairs
from dlcore.inspection.repairs.devices import device_repairs
from dlcore.inspection.repairs.layers import layer_repairs
from dlcore.inspection.repairs.operations import operation_repairs
from dlcore.inspection.repairs.outputs import output_repairs
from dlcore.inspection.repairs.scene import Candidate, Scene
from dlcore.inspection.source_edits import applied, patch

MOST_STEPS = 3  # changes in one fix
MOST_FIXES = 3
MOST_TRIES = 40  # of a failure; a small network takes 20 ms each


@dataclass(frozen=True)
class Fix:
    """A change with which a batch goes through.

    Attributes:
        say: the change in a line.
        why: the reason for it in a line, where it needs one.
        set: for a preset: keys to change, by section.
        diff: for the user's file: a patch.
        file: that the patch is for.
    """

    say: str
    why: str = ""
    set: dict[str, dict[str, Any]] = field(default_factory=dict)
    diff: str = ""
    file: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Step:
    """A program with some changes, and how far it gets."""

    attempt: Attempt
    says: tuple[str, ...] = ()


def source_fixes(program: Program, *, seconds: float = 10.0) -> list[Fix]:
    """Changes of the user's source that mend a program which fails; the best first.

    Args:
        seconds: after which no further guess is tried.
    """
    until = time.monotonic() + seconds
    start = program.attempt({})
    if start.works:
        return []
    steps = [_Step(start)]
    for _ in range(MOST_STEPS):
        found: list[_Step] = []
        further: list[_Step] = []
        for step in steps:
            for after in _tried(program, step, until):
                (found if after.attempt.works else further).append(after)
                if len(found) >= MOST_FIXES:
                    break
        if found:
            best = sorted(found, key=lambda each: not _keeps_batch(each.attempt))
            best = [each for each in best if program.works_with_another_batch(each.attempt.texts)] or best
            return [_as_fix(step) for step in best[:MOST_FIXES]]
        steps = further[:MOST_FIXES]
    return []


def _tried(program: Program, step: _Step, until: float) -> Iterator[_Step]:
    """What comes of each guess, where it is better than before."""
    seen: set[tuple[Any, ...]] = set()
    for number, candidate in enumerate(_candidates(step.attempt)):
        if number >= MOST_TRIES or time.monotonic() > until:
            return
        if candidate.edits in seen:
            continue
        seen.add(candidate.edits)
        texts = dict(step.attempt.texts)
        for file in {edit.file for edit in candidate.edits}:
            text = texts.get(file) or text_of(file) or ""
            texts[file] = applied(text, [edit for edit in candidate.edits if edit.file == file])
        attempt = program.attempt(texts)
        if attempt.works or _gets_further(step.attempt, attempt):
            yield _Step(attempt, (*step.says, candidate.say))


def _candidates(attempt: Attempt) -> Iterator[Candidate]:
    if attempt.result is None:
        yield from constructor_repairs(attempt)
        return
    scene = Scene(attempt)
    yield from device_repairs(scene)
    yield from _misspelt(scene)
    own = scene.call is not None and type(scene.module).__module__.startswith("torch.")
    yield from layer_repairs(scene) if own else ()
    yield from output_repairs(scene)
    yield from operation_repairs(scene)


def _misspelt(scene: Scene) -> Iterator[Candidate]:
    """The attribute that the message supposes was meant."""
    found = re.search(r"has no attribute '(\w+)'; did you mean (\w+)\?", scene.failure.message)
    if found and scene.node and isinstance(scene.node[1], ast.Attribute) and scene.node[1].attr == found[1]:
        source, node = scene.node
        assert isinstance(node, ast.Attribute)
        text = f"{source.text(node.value)}.{found[2]}"
        yield Candidate(text, (source.replace(node, text),))


def _gets_further(before: Attempt, after: Attempt) -> bool:
    """Whether a later call fails now."""
    if after.result is None or after.result.trace.failure is None:
        return False
    if before.result is None:
        return True
    was, now = before.result.trace.failure, after.result.trace.failure
    same = (was and (was.path, was.operation)) == (now.path, now.operation)
    done = sum(call.finished for call in before.result.calls)
    return not same and sum(call.finished for call in after.result.calls) >= done


def _keeps_batch(attempt: Attempt) -> bool:
    trace = attempt.result.trace if attempt.result else None
    if trace is None or not trace.outputs or not trace.inputs or not trace.inputs[0].shape:
        return True
    return not trace.outputs[0].shape or trace.outputs[0].shape[0] == trace.inputs[0].shape[0]


def _as_fix(step: _Step) -> Fix:
    diffs = {file: patch(file, text_of(file) or "", text) for file, text in step.attempt.texts.items()}
    return Fix(
        say=", then ".join(step.says),
        diff="".join(diffs.values()),
        file=", ".join(diffs),
    )
