"""Numbers that stopped being numbers, losses that jump, gradients that are always cut."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dlcore.doctor.findings import Change, Finding
from dlcore.doctor.record import Record
from dlcore.doctor.registry import rule
from dlcore.doctor.rules import advice

SPIKE = 5.0
WINDOW = 25
ALWAYS = 0.9
LEAST_RECORDS = 6


@rule("non-finite numbers", rank=2)
def nonfinite(record: Record) -> Iterator[Finding]:
    """A loss or gradient that is nan or infinite: one is enough, since a step with it makes every weight nan.

    The first layer that makes such a number of the same samples is told by the training when it ends there.
    """
    events = record.of_kind("nonfinite")
    if not events:
        return
    event = events[-1]
    layer, step = str(event.get("layer", "")), event.get("step")
    what, where = str(event.get("what", "loss")), f", first in {layer}" if layer else ""
    data = layer == "the input data"
    yield Finding(
        rule="non-finite numbers",
        severity="error",
        what=f"The {what} stopped being a number at step {step}{where}.",
        evidence=f"step {step}, epoch {event.get('epoch')}; samples {list(event.get('indices') or [])[:8]} of the "
        "training part",
        why="One step with it turns every weight into nan, and nothing is learnt after that. "
        + (
            "It comes from the data itself."
            if data
            else "Mostly the step is too large, or a log or a division meets 0."
        ),
        changes=(Change("Look at these samples: they hold nan or infinity."),)
        if data
        else (
            *advice.learning_rate(record, 1 / advice.FACTOR),
            *advice.clip(record),
            Change("Find the operation behind it; slow.", ("training.detect_anomaly=true",)),
        ),
        layer=layer,
        step=step if isinstance(step, int) else None,
        epoch=event.get("epoch") if isinstance(event.get("epoch"), int) else None,
    )


@rule("loss spikes", rank=4)
def spikes(record: Record) -> Iterator[Finding]:
    """Single steps whose loss is over five times the median of the 25 steps around it, and over twice a guess's.

    Losses of one batch scatter by their standard error. Even of a single sample, whose loss is about exponentially
    distributed, five times the median is met by 2⁻⁵ = 3 %, of the mean of eight samples by less than one in 10⁹;
    and near the loss of a guess it would only be one hard batch among many easy ones.
    """
    curve, chance = record.curve("train/loss"), record.chance
    if chance is None or len(curve) < 2 * WINDOW:
        return
    padded = np.pad(curve.value, WINDOW // 2, mode="edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, WINDOW // 2 * 2 + 1), axis=1)
    late = np.arange(len(curve)) >= len(curve) // 10
    found = np.flatnonzero((curve.value > SPIKE * around) & (curve.value > 2 * chance) & late)
    if not len(found):
        return
    worst = found[np.argmax(curve.value[found] / around[found])]
    step = int(curve.step[worst])
    yield Finding(
        rule="loss spikes",
        severity="hint",
        what=f"The loss jumps at {len(found):,} of {len(curve):,} steps, most at step {step:,}.",
        evidence=f"loss {curve.value[worst]:.3g} at step {step:,}, {around[worst]:.3g} at the median around it",
        why="A batch that is unlike the others, or a step that is too long, undoes what was learnt. "
        "It costs the steps that it takes to come back.",
        changes=(*advice.clip(record), *advice.learning_rate(record, 0.3)),
        step=step,
    )


@rule("clipped almost always", rank=4)
def clipped(record: Record) -> Iterator[Finding]:
    """Nine in ten recorded gradients are longer than the limit.

    Clipping is meant for the few that are far off; Pascanu et al. (2013, section 3.2) set it from 1/2 to 10 times
    the mean. A limit that always cuts divides every gradient by its length: only the direction is left, and the
    rate loses its meaning.
    """
    limit, lengths = record.number("training.clip_norm"), record.curve("train/grad_norm").value
    if limit <= 0 or len(lengths) < LEAST_RECORDS:
        return
    cut = float((lengths > limit).mean())
    if cut < ALWAYS:
        return
    usual = float(np.quantile(lengths, 0.9))
    yield Finding(
        rule="clipped almost always",
        severity="hint",
        what=f"{cut:.0%} of the gradients are clipped.",
        evidence=f"clip_norm is {limit:.2g}; gradients are {float(np.median(lengths)):.2g} long at the median",
        why="Clipping should catch the rare gradient that is far off. Cut every time, all gradients are equally long "
        "and the step no longer shrinks near a minimum.",
        changes=(
            Change(f"Clip above {usual:.2g}, the longest tenth.", (f"training.clip_norm={usual:.2g}",)),
        ),
    )
