"""Time and memory: what keeps the processor from training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dlcore.doctor.findings import Change, Finding
from dlcore.doctor.record import Record
from dlcore.doctor.registry import rule

WAITING = 0.4
SECONDS = 2e-3
IDLE = 0.3
LEAST_RECORDS = 5
GROWTH = 0.2
LEAST_GROWTH = 64 << 20
STRAIGHT = 0.9
LEFT = 0.05
PARTS = ("data", "forward", "backward", "optimizer")
REPLAYED = ("data", "replay")
"""A recorded step is one launch."""


def waiting(record: Record) -> tuple[float, float] | None:
    """Share of a step, and seconds, that go into waiting for data; None while unknown."""
    replayed = len(record.curve("time/replay").value) >= LEAST_RECORDS
    curves = [record.curve(f"time/{part}").value for part in (REPLAYED if replayed else PARTS)]
    count = min(len(curve) for curve in curves)
    if count < LEAST_RECORDS:
        return None
    seconds = [float(np.median(curve[-count:])) for curve in curves]
    return (seconds[0] / sum(seconds), seconds[0]) if sum(seconds) > 0 else None


@rule("waiting for data", rank=5)
def loader_bound(record: Record) -> Iterator[Finding]:
    """Two fifths of a step go into waiting for its batch, and more than 2 ms.

    Loading runs beside the training where it can, so waiting is what is lost: at 40 % the same hardware could make
    1 / 0.6 = 1.7 times the steps. Below 2 ms it is the price of any batch:
    two switches between processes and a copy.
    """
    found = waiting(record)
    if found is None or found[0] < WAITING or found[1] < SECONDS:
        return
    share, seconds = found
    workers = int(record.number("training.workers"))
    yield Finding(
        rule="waiting for data",
        severity="hint",
        what=f"{share:.0%} of the time the training waits for data.",
        evidence=f"{1e3 * seconds:.3g} ms of a step of {1e3 * seconds / share:.3g} ms, with {workers} loader processes",
        why="The network could train faster than the samples come. "
        "Loading in processes beside the training, or smaller files, would make every epoch shorter.",
        changes=(Change("Load with more processes.", (f"training.workers={max(2, 2 * workers)}",)),),
    )


@rule("idle GPU", rank=5)
def idle_gpu(record: Record) -> Iterator[Finding]:
    """The GPU works less than 30 % of the time, as its driver counts, and not for want of data.

    The driver counts the share of time in which any kernel runs; small batches leave it waiting for Python, which
    needs some 10 µs a launch. Twice the batch then costs next to nothing.
    """
    load = record.curve("system/gpu").value
    data = waiting(record)
    if (
        len(load) < LEAST_RECORDS
        or float(np.median(load)) >= IDLE
        or (data is not None and data[0] >= WAITING)
    ):
        return
    size = int(record.number("training.batch_size")) or 64
    yield Finding(
        rule="idle GPU",
        severity="hint",
        what=f"The GPU is idle {1 - float(np.median(load)):.0%} of the time.",
        evidence=f"used {float(np.median(load)):.0%} at the median of {len(load)} records; batches of {size}",
        why="Each kernel is over before the next one is launched. "
        "Larger batches or a compiled network give it more to do at once.",
        changes=(
            Change(f"Train with batches of {4 * size}.", (f"training.batch_size={4 * size}",)),
            Change("Compile the network.", ("training.compile=true",)),
        ),
    )


@rule("memory grows", rank=0)
def memory_grows(record: Record) -> Iterator[Finding]:
    """Memory has grown by a fifth since the training was under way, by 64 MiB at least, and in a straight line.

    Caches fill up in the first steps, in jumps, and glibc gives a thread heaps of 64 MiB; what grows evenly beyond
    that (a line explains nine tenths of its variance) is kept by each step. The usual cause is a list of losses
    that were never detached: each holds the graph of its whole forward pass (PyTorch's FAQ, "My model reports out
    of memory").
    """
    curve = record.curve("system/memory")
    late = curve.value[len(curve) // 5 :]
    if len(late) < 2 * LEAST_RECORDS:
        return
    steps = curve.step[len(curve) // 5 :].astype(float)
    slope, base = np.polyfit(steps, late, 1)
    left = late - (slope * steps + base)
    total = float(((late - late.mean()) ** 2).sum())
    straight = 1 - float((left**2).sum()) / total if total > 0 else 0.0
    grown = float(late[-1] - late[0])
    if grown < max(LEAST_GROWTH, GROWTH * float(late[0])) or straight < STRAIGHT:
        return
    yield Finding(
        rule="memory grows",
        severity="error",
        what="Memory grows with every step: something keeps what each step made.",
        evidence=f"{late[0] / 2**20:,.0f} MiB at step {int(steps[0]):,}, {late[-1] / 2**20:,.0f} MiB at step "
        f"{int(steps[-1]):,}: {slope / 2**10:,.1f} KiB a step",
        why="Sooner or later the process is killed. "
        "A tensor that is kept with its graph, such as a list of losses, keeps the whole forward pass alive.",
        changes=(
            Change("Keep numbers, not tensors: loss.item() or loss.detach() where your code collects them."),
        ),
        step=int(steps[-1]),
    )


@rule("memory is nearly full", rank=4)
def memory_full(record: Record) -> Iterator[Finding]:
    """At its fullest, less than a twentieth of the memory that the training could have was left.

    It is read after a step, when the activations are gone again; what comes in between needs more: a longer
    sequence, a batch of the evaluation, a checkpoint's copy of the weights. A twentieth is one more sample in a
    batch of twenty.
    """
    used, left = record.curve("system/memory"), record.curve("system/memory_left")
    count = min(len(used), len(left))
    if count < LEAST_RECORDS:
        return
    shares = left.value[-count:] / np.maximum(used.value[-count:] + left.value[-count:], 1.0)
    worst = int(shares.argmin())
    if shares[worst] >= LEFT:
        return
    taken, free = used.value[-count:][worst], left.value[-count:][worst]
    size, pieces = int(record.number("training.batch_size")), int(record.number("training.accumulate")) or 1
    step = int(left.step[-count:][worst])
    yield Finding(
        rule="memory is nearly full",
        severity="hint",
        what=f"Memory is nearly full: {shares[worst]:.0%} was left at step {step:,}.",
        evidence=f"{taken / 2**20:,.0f} MiB in use and {free / 2**20:,.0f} MiB left at step {step:,}",
        why="A longer sequence, an evaluation or the copy for a checkpoint may need more than that. "
        "Then the training stops, or the system ends it without a word.",
        changes=(
            *(
                [
                    Change(
                        f"Take the same step in pieces of {size // 2} samples.",
                        (f"training.batch_size={size // 2}", f"training.accumulate={2 * pieces}"),
                    )
                ]
                if size > 1
                else []
            ),
            *(
                [
                    Change(
                        "Compute activations twice and keep fewer.", ("training.gradient_checkpointing=true",)
                    )
                ]
                if record.option("training.gradient_checkpointing") is False
                else []
            ),
        ),
        step=step,
    )
