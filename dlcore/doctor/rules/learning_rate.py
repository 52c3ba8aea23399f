"""Steps that are too long or too short."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dlcore.doctor.findings import Finding
from dlcore.doctor.record import Record
from dlcore.doctor.registry import rule
from dlcore.doctor.rules import advice

LONG = 0.1
SHORT = 1e-4
USUAL = 1e-3
MOST_RAISED = 1e4
LEAST_STEPS = 30
WARM = 0.2
"""Share of the training after which a warm-up is over, and little progress is too little."""

LITTLE = 0.1
CALM = 0.1
"""A course is calm whose change from step to step is below this share of all that the loss has fallen."""
SHOT_UP = 3.0


def fall(record: Record) -> float | None:
    """Share of its first value that the training loss has lost, negative where it has grown; None while young."""
    curve, start = record.curve("train/loss"), record.start
    if start is None or start <= 0 or len(curve) < LEAST_STEPS:
        return None
    return 1 - curve.level(0.9, 1.0) / start


def update_ratio(record: Record) -> float | None:
    """Median length of a step relative to the weights."""
    ratios = record.curve("train/update_ratio").value
    return float(np.median(ratios)) if len(ratios) else None


@rule("learning rate too high", rank=1)
def too_high(record: Record) -> Iterator[Finding]:
    """The loss ends above where it began, shot up and never came down, or steps are over a tenth of the weights.

    Beyond 2 / curvature a step overshoots further than it gains, and the loss grows (LeCun et al. 1998, section 5).
    A usual step moves the weights by 1e-3 of their length (CS231n's notes, "Ratio of weights:updates"); at 1e-1
    they are new after ten. A warm-up's first hump is forgiven: a peak above three times the first loss counts only
    where the end is within a tenth of it. Long steps are no fault of a loss that does not jump about: Muon's are as
    long as its rate, whatever the gradient. A growth counts beyond 5 %, the standard error of 400 exponentially
    distributed losses: three batches of 128.
    """
    lost, ratio = fall(record), update_ratio(record)
    blown_up = bool(record.of_kind("nonfinite")) and _grew(record)
    diverged = lost is not None and lost < -0.05
    curve = record.curve("train/loss")
    wild = lost is not None and ratio is not None and ratio > LONG and lost < 0.5 and not _calm(record)
    peak = float(curve.value.max()) if len(curve) else 0.0
    shot_up = lost is not None and lost < LITTLE and peak > SHOT_UP * (record.start or peak)
    if not (blown_up or diverged or wild or shot_up):
        return
    facts = (
        [
            f"training loss {record.start or 0:.3g} at first, {peak:.3g} at most, {curve.level(0.9, 1.0):.3g} at last"
        ]
        if len(curve)
        else []
    )
    facts += (
        [f"a step moves the weights by {ratio:.2g} of their length; 0.001 is usual"]
        if ratio is not None
        else []
    )
    yield Finding(
        rule="learning rate too high",
        severity="error",
        what="The learning rate is too high: "
        + ("the loss grows." if diverged or blown_up else "the loss jumps about."),
        evidence="; ".join(facts),
        why="Each step lands beyond the minimum that it aims at, on higher ground than before. "
        "Smaller steps reach lower losses, and sooner.",
        changes=(
            *advice.learning_rate(record, 1 / advice.FACTOR),
            *advice.learning_rate(record, 1 / advice.FACTOR**2),
            *advice.clip(record),
        ),
        step=int(curve.step[int(curve.value.argmin())]) if len(curve) else None,
    )


def _calm(record: Record) -> bool:
    """Whether the training loss changes little from step to step, beside what it has fallen in all."""
    curve, start = record.curve("train/loss"), record.start
    jump = float(np.median(np.abs(np.diff(curve.value))))
    return start is not None and jump < CALM * (start - curve.level(0.9, 1.0))


def _grew(record: Record) -> bool:
    """Whether the last finite losses were above the first ones: a blow-up, and no sudden 0/0."""
    curve, start = record.curve("train/loss"), record.start
    return start is not None and (len(curve) < 3 or float(curve.value[-3:].max()) > 1.5 * start)


@rule("learning rate too low", rank=3)
def too_low(record: Record) -> Iterator[Finding]:
    """Steps shorter than 1e-4 of the weights, and less than a tenth of the loss gone after all of them.

    About 1e-3 a step is the rule of thumb (CS231n's notes, "Ratio of weights:updates"); at 1e-4 a weight needs ten
    thousand steps in one direction to become another one. Where the loss falls all the same, nothing is said.
    """
    lost, ratio = fall(record), update_ratio(record)
    if (
        lost is None
        or ratio is None
        or ratio >= SHORT
        or lost >= LITTLE
        or lost < -0.05
        or record.done < WARM
    ):
        return
    chance = record.chance
    if chance is not None and (record.start or 0) < 0.3 * chance:
        return  # it goes on from weights that know it already
    factor = min(
        USUAL / max(ratio, USUAL / MOST_RAISED), MOST_RAISED
    )  # a step is as long as the rate is high
    yield Finding(
        rule="learning rate too low",
        severity="error",
        what="The learning rate is too low: the network hardly moves.",
        evidence=f"a step moves the weights by {ratio:.1e} of their length, where 1e-3 is usual; "
        f"the training loss fell by {max(0.0, lost):.1%} in {len(record.curve('train/loss')):,} steps",
        why="The direction is right and the steps are too short. "
        "At this pace it takes many times the epochs to arrive where a larger rate is at once.",
        changes=tuple(advice.learning_rate(record, factor)) + tuple(advice.learning_rate(record, factor / 3)),
    )
