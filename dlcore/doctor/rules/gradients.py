"""How the gradient fares on its way from the loss back to the first layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from dlcore.doctor.findings import Finding
from dlcore.doctor.record import Record, figure
from dlcore.doctor.registry import rule
from dlcore.doctor.rules import advice

VANISHED = 1e-3
EXPLODED = 1e3
LONG = 1e3
LEAST_LAYERS = 3


def flow(record: Record) -> list[tuple[str, float]]:
    """Root mean square of the gradient of each layer's matrix or filters, in the order of the forward pass.

    Embeddings are left out: most of their rows are not met by a batch. So are networks of several losses, whose
    layers do not stand in one row.
    """
    found = []
    for row in record.rows():
        if row.get("type") == "Embedding" or row.get("phase"):
            continue
        for table in (row.get("parameters") or {}).values():
            shape, length = table.get("shape") or [], figure(table, "gradient", "norm")
            if len(shape) > 1 and length is not None:
                found.append((str(row.get("path", "")), length / math.sqrt(max(1, math.prod(shape)))))
                break
    return found


@rule("vanishing gradients", rank=2)
def vanishing(record: Record) -> Iterator[Finding]:
    """The first layer's gradient is less than a thousandth of the largest one.

    A sigmoid's slope is at most 1/4, so five of them in a row leave 4⁻⁵ ≈ 1e-3 at best (Hochreiter 1991; Glorot and
    Bengio 2010, figure 7). Networks that train well stay within a factor of about ten from end to end.
    """
    layers = flow(record)
    if len(layers) < LEAST_LAYERS:
        return
    (first, small), (widest, large) = layers[0], max(layers, key=lambda layer: layer[1])
    if not large > 0 or small / large >= VANISHED:
        return
    share = small / large
    factor = share ** (1 / max(1, len(layers) - 1)) if share > 0 else 0.0
    yield Finding(
        rule="vanishing gradients",
        severity="error",
        what=f"Hardly any gradient reaches {first}: it vanishes on the way through {len(layers)} layers.",
        evidence=f"gradient (root mean square) {small:.1e} in {first}, {large:.1e} in {widest}: {share:.0e} of it, "
        f"a factor of {factor:.2g} a layer",
        why="A layer moves as fast as its gradient is large, so the first layers stay as they were drawn. "
        "The last ones can only combine random features.",
        changes=(
            *advice.rectifiers(record),
            *advice.batch_norm(record),
        ),
        layer=first,
        step=record.last_look.get("step"),
    )


@rule("exploding gradients", rank=3)
def exploding(record: Record) -> Iterator[Finding]:
    """The first layer's gradient is over a thousand times the last one's, or the whole is longer than 1,000.

    A matrix whose largest singular value is 2 doubles the gradient at every layer or time step; ten of them make a
    thousand (Pascanu, Mikolov and Bengio 2013, section 2). A gradient 1,000 long moves the weights by more than
    their own length at any rate above a thousandth of it; the medians of the healthy presets are 0.02 to 60.
    """
    layers = flow(record)
    lengths = record.curve("train/grad_norm").value
    typical = float(median(lengths.tolist())) if len(lengths) else 0.0
    ratio = layers[0][1] / layers[-1][1] if len(layers) >= LEAST_LAYERS and layers[-1][1] > 0 else 0.0
    if typical < LONG and ratio < EXPLODED:
        return
    evidence = (
        f"gradient {typical:.2g} long at the median, {float(lengths.max()):.2g} at most"
        if len(lengths)
        else ""
    )
    if ratio >= EXPLODED:
        evidence += f"; {ratio:.1e} times as large in {layers[0][0]} as in {layers[-1][0]}"
    yield Finding(
        rule="exploding gradients",
        severity="error",
        what="Gradients explode on their way back through the network.",
        evidence=evidence.removeprefix("; "),
        why="A step is as long as its gradient, so single batches throw the weights far off. "
        "What was learnt before is lost each time.",
        changes=(
            *advice.clip(record),
            *advice.learning_rate(record, 1 / advice.FACTOR),
            *advice.batch_norm(record),
        ),
        layer=layers[0][0] if ratio >= EXPLODED else "",
        step=record.last_look.get("step"),
    )
