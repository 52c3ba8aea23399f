"""What training and validation losses say together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dlcore.doctor.findings import Change, Finding
from dlcore.doctor.record import Record
from dlcore.doctor.registry import rule
from dlcore.doctor.rules import advice
from dlcore.doctor.rules.learning_rate import LEAST_STEPS, WARM, fall

LEAST_EVALUATIONS = 4
RISE = 1.2
FLAT = 0.02
POOR = 0.6
PLATEAU_EVALUATIONS = 8


@rule("not learning", rank=4)
def not_learning(record: Record) -> Iterator[Finding]:
    """After all steps the loss is within 5 % of a guess's, and was never 10 % below it.

    ln(classes) is the loss of equal probabilities; a network that has found anything at all is below it soon. A
    tenth below ln C is who has narrowed C classes down to C^0.9, ten to eight; 5 % is what a tenth of the steps
    scatters by, six batches of 64 at least: 1 / √384.
    """
    chance, curve, lost = record.chance, record.curve("train/loss"), fall(record)
    if chance is None or lost is None or len(curve) < 2 * LEAST_STEPS or record.done < WARM:
        return
    last = curve.level(0.9, 1.0)
    lowest = min(curve.level(at / 10, (at + 1) / 10) for at in range(10))
    if last < 0.95 * chance or lowest < 0.9 * chance:
        return
    yield Finding(
        rule="not learning",
        severity="error",
        what="The network does no better than a guess.",
        evidence=f"training loss {last:.3g} after {len(curve):,} steps; a guess has {chance:.3g}",
        why="Either the targets have nothing to do with the inputs, or what connects them is broken. "
        "Make it learn one batch by heart first: dltui doctor PRESET tries that.",
        changes=(
            *advice.learning_rate(record, advice.FACTOR),
            *advice.learning_rate(record, 1 / advice.FACTOR),
        ),
    )


@rule("overfitting", rank=4)
def overfitting(record: Record) -> Iterator[Finding]:
    """The validation loss is a fifth above its lowest while the training loss went on falling.

    Prechelt (1998) calls 100 · (E / E_min - 1) the generalisation loss and stops at 5; a fifth, averaged over three
    evaluations, is well outside the noise of one. Where validation accuracy is still at its best it stays a hint.
    """
    val, train = record.curve("val/loss"), record.curve("train/loss")
    if len(val) < LEAST_EVALUATIONS or len(train) < LEAST_STEPS:
        return
    lowest = int(val.value.argmin())
    now, best = float(val.value[-3:].mean()), float(val.value[lowest])
    if lowest >= len(val) - 2 or best <= 0 or now < RISE * best:
        return
    step = int(val.step[lowest])
    then = _around(train.step, train.value, step)
    last = train.level(0.95, 1.0)
    if last > 0.9 * then:
        return
    epochs = record.number("training.epochs")
    yield Finding(
        rule="overfitting",
        severity="hint",
        what=f"Overfitting since step {step:,}: it learns the training samples by heart.",
        evidence=f"val/loss {best:.3g} at step {step:,}, {now:.3g} now; train/loss {then:.3g} then, {last:.3g} now",
        why="What helps on the training samples only does not help on others. "
        "The weights of the best evaluation are kept, so the later epochs were for nothing.",
        changes=(
            *advice.regularise(record),
            *(
                [
                    Change(
                        "Stop when it no longer gets better.",
                        (f"training.patience={max(3, int(epochs // 10))}",),
                    )
                ]
                if not record.number("training.patience")
                else []
            ),
            Change("Have more training samples, or augment those there are."),
        ),
        step=step,
    )


@rule("underfitting", rank=4)
def underfitting(record: Record) -> Iterator[Finding]:
    """The training loss has come to rest above 60 % of a guess's, and the validation loss is no worse.

    A gap between the two would be overfitting; none, at a level near a guess, means that the network cannot express
    more or is held back. 60 % of ln C is the loss of who has narrowed C classes down to C^0.6, ten to four. At rest
    is less than 2 % of it in a third of the training. Language and noisy numbers have a floor of their own, so only
    classes are judged.
    """
    chance, train, val = record.chance, record.curve("train/loss"), record.curve("val/loss")
    if (
        chance is None
        or record.task not in ("classification", "segmentation")
        or len(train) < 4 * LEAST_STEPS
    ):
        return
    last, before = train.level(0.9, 1.0), train.level(0.55, 0.65)
    if last < POOR * chance or last < (1 - FLAT) * before or not len(val) or val.level(0.8, 1.0) > 1.2 * last:
        return
    if last >= 0.95 * chance:
        return  # that it has not begun to learn is said elsewhere
    yield Finding(
        rule="underfitting",
        severity="error",
        what="Underfitting: it has stopped learning far from the goal.",
        evidence=f"train/loss {last:.3g}, where a guess has {chance:.3g}; {before:.3g} some time ago; "
        f"val/loss {val.level(0.8, 1.0):.3g}",
        why="The network is too small for the task, or held back too much. "
        "More epochs will not help: it does not even fit the samples that it sees.",
        changes=(
            *advice.enlarge(record),
            *(
                [Change("Switch dropout off.", ("model.dropout=0.0",))]
                if record.number("model.dropout") >= 0.3
                else []
            ),
            *advice.learning_rate(record, 3.0),
        ),
    )


@rule("plateau", rank=4)
def plateau(record: Record) -> Iterator[Finding]:
    """In the second half of the evaluations neither loss fell by 2 %, at a training loss above a fifth of a guess's.

    A rate that is right for the beginning rattles around the minimum in the end; Prechelt (1998) waits for strips of
    five epochs, here it is half of the training; 2 % is what a
    tenth of 400 steps scatters by with batches of 64, 1 / √2560. A fifth of ln C is the loss of
    who has narrowed C classes down to C^0.2, ten to 1.6: below that there is nothing much left to gain.
    """
    chance, train, val = record.chance, record.curve("train/loss"), record.curve("val/loss")
    if chance is None or len(val) < PLATEAU_EVALUATIONS or len(train) < 4 * LEAST_STEPS:
        return
    if record.option("scheduler.name") != "constant" or record.task in (
        "causal_lm",
        "masked_lm",
        "regression",
    ):
        return
    last, before = train.level(0.9, 1.0), train.level(0.45, 0.55)
    half = len(val) // 2
    gained = 1 - float(val.value[half:].min()) / float(val.value[:half].min())
    if not 0.2 * chance < last < POOR * chance or last < (1 - FLAT) * before or gained > FLAT:
        return
    yield Finding(
        rule="plateau",
        severity="hint",
        what="A plateau: nothing has been gained in the second half.",
        evidence=f"train/loss {before:.3g} half-way, {last:.3g} now; lowest val/loss better by {gained:.1%}",
        why="A constant rate that is right for the beginning is too large for the end. "
        "Let it fall, and the loss mostly falls with it.",
        changes=(Change("Let the learning rate fall to 0.", ("scheduler.name=cosine",)),),
    )


def _around(steps: np.ndarray, values: np.ndarray, step: int) -> float:
    """The mean of the twentieth of the points that ends at a step."""
    end = max(1, int(np.searchsorted(steps, step, side="right")))
    return float(values[max(0, end - max(3, len(values) // 20)) : end].mean())
