"""Units that say nothing any more: dead rectifiers, saturated sigmoids."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dlcore.doctor.findings import Change, Finding
from dlcore.doctor.record import Record, Table, figure
from dlcore.doctor.registry import rule
from dlcore.doctor.rules import advice

MANY_DEAD = 0.9
SOME_DEAD = 0.7
ENOUGH = 64  # samples
RARE = 0.05  # share of samples that a unit may be for
SATURATED = 0.8
MANY_UNITS = 1_000_000  # where a look does not say how many


def _worst(record: Record, name: str) -> tuple[Table, float]:
    """The layer with the largest share, and the share."""
    rows = [(row, figure(row, "activation", name) or 0.0) for row in record.rows()]
    return max(rows, key=lambda row: row[1], default=({}, 0.0))


def _in_own_code(record: Record, say: str) -> Iterator[Change]:
    """What no key of the preset does, where the network is of the user's own making."""
    if ".py:" in str(record.option("model.name", "")):
        yield Change(say)


@rule("dead ReLUs", rank=2)
def dead_relus(record: Record) -> Iterator[Finding]:
    """Units of a rectifier that are silent for every one of the 64 samples looked at.

    With a share p of samples that wake a unit, it sleeps through 64 of them with (1 - p)⁶⁴: a unit that serves one
    sample in twenty is met 96 times in 100. So a layer where seven in ten are silent has lost most of them, and
    from nine in ten on the rest is a bottleneck. Fewer samples meet fewer units, and the thresholds rise with what
    is asleep by chance; so do they by two standard errors of a share of so few units, √(p (1 - p) / units), for a
    narrow layer has a few units more or less asleep by chance as well. A dead unit has no gradient and never comes
    back (Maas et al. 2013). Where it was so before the first step, no rate is to blame.
    """
    row, share = _worst(record, "dead")
    layer, samples = str(row.get("path", "")), int(figure(record.last_look, "batch") or ENOUGH)
    sure = share - 2 * math.sqrt(share * (1 - share) / _units(row)) if share else 0.0
    if sure < _threshold(SOME_DEAD, samples):
        return
    begun = figure(record.as_drawn(layer), "activation", "dead") or 0.0
    at_first = begun >= _threshold(SOME_DEAD, samples)
    yield Finding(
        rule="dead ReLUs",
        severity="error" if sure >= _threshold(MANY_DEAD, samples) else "hint",
        what=f"{share:.0%} of the units of {layer} are dead.",
        evidence=f"{share:.1%} of its units are 0 for all {samples:,} samples looked at"
        + (f"; before the first step {begun:.1%} were" if at_first else ""),
        why="A ReLU that is 0 for every sample has no gradient, so it never learns anything again. "
        "Too large a step pushes units there, and so do strongly negative biases.",
        changes=(
            *(() if at_first else advice.learning_rate(record, 1 / advice.FACTOR)),
            *advice.activation(record, "leaky_relu"),
            *advice.initialisation(record, "he"),
            *_in_own_code(record, "Let the biases of the layer before it start at 0 in your own code."),
        ),
        layer=layer,
        step=record.last_look.get("step"),
    )


def _units(row: Table) -> int:
    """How many units a layer's share is of: the channels of images, else the last axis."""
    shape = [size for size in row.get("shape") or () if isinstance(size, int)]
    return max(1, shape[1] if len(shape) > 3 else shape[-1]) if shape else MANY_UNITS


def _threshold(enough: float, samples: int) -> float:
    """The share of silent units among so many samples that says as much as ``enough`` among `ENOUGH`.

    Of units that are for one sample in twenty, 0.95ⁿ sleep through n samples.
    """
    usual, here = (1 - RARE) ** ENOUGH, (1 - RARE) ** min(samples, ENOUGH)
    dead = (enough - usual) / (1 - usual)
    return dead + (1 - dead) * here


@rule("saturated units", rank=2)
def saturated(record: Record) -> Iterator[Finding]:
    """Outputs of sigmoid or tanh at their limits, where the slope is below a tenth of its largest.

    With four in five values there, the layer passes less than 0.2 + 0.8 · 0.1 = 28 % of the gradient; two such layers
    pass 8 % (Glorot and Bengio 2010, section 3.1, watch it happen). Where it was so before the first step, no rate is
    to blame.
    """
    row, share = _worst(record, "saturated")
    layer = str(row.get("path", ""))
    last = [str(row.get("path", "")) for row in record.rows()][-1:]
    if share < SATURATED or [layer] == last:
        return
    begun = figure(record.as_drawn(layer), "activation", "saturated") or 0.0
    at_first = begun >= SATURATED
    yield Finding(
        rule="saturated units",
        severity="error",
        what=f"{layer} is saturated: {share:.0%} of its values lie at the limits.",
        evidence=f"{share:.1%} of its outputs are where the slope is below a tenth of its largest"
        + (f"; before the first step {begun:.1%} were" if at_first else ""),
        why="At its limits the curve is flat, and what is multiplied by its slope is gone. "
        "Inputs or weights that are too large push units there.",
        changes=(
            *advice.activation(record, "relu"),
            *advice.initialisation(record, "xavier"),
            *(() if at_first else advice.learning_rate(record, 1 / advice.FACTOR)),
            *_in_own_code(
                record, "Draw smaller first weights in your own code: nn.init.xavier_normal_(layer.weight)."
            ),
        ),
        layer=layer,
        step=record.last_look.get("step"),
    )
