"""Faults of the data, seen before the training."""

from __future__ import annotations

from collections.abc import Iterator

from dlcore.doctor.findings import Change, Finding
from dlcore.doctor.record import Record, figure
from dlcore.doctor.registry import rule

LARGE = 10.0
SMALL = 0.01
APART = 30.0
RARE = 0.2
VERY_RARE = 0.02
LEAKED = 0.02
MANY = 0.5
LEAST_ROWS = 3


@rule("inputs are not normalised", rank=0)
def not_normalised(record: Record) -> Iterator[Finding]:
    """Inputs ten times too large or a hundred times too small, or features thirty times apart.

    Inputs should have mean 0 and deviation 1 (LeCun et al. 1998, section 4.3). The curvature along a weight grows
    with the square of its input: features 30 times apart make a condition number of 900, and gradient descent needs
    about that many times the steps. Two-valued features are left out: a rare flag is small and harmless.
    """
    found = record.examination.get("inputs") or {}
    rms = figure(found, "rms")
    if rms is None or found.get("normalised_first"):
        return
    large, small = figure(found, "largest", "rms"), figure(found, "smallest", "rms")
    apart = large / small if large and small else 1.0
    if SMALL <= rms <= LARGE and apart < APART:
        return
    evidence = f"root mean square of the inputs {rms:.3g}; 1 is usual"
    if large is not None and small is not None and apart >= APART:
        widest, narrowest = found["largest"]["name"], found["smallest"]["name"]
        evidence += f"; {widest} {large:.3g}, {narrowest} {small:.3g}: {apart:,.0f} times apart"
    option = next(
        (key for key in ("normalise", "standardise", "scale") if record.option(f"data.{key}") is False), ""
    )
    yield Finding(
        rule="inputs are not normalised",
        severity="error",
        what="The inputs are not normalised.",
        evidence=evidence,
        why="A weight's gradient is as large as its input, so one learning rate is too high for some weights "
        "and too low for the others. The network looks at the largest numbers first, whatever they mean.",
        changes=(
            *(
                [Change("Normalise them by the training part's statistics.", (f"data.{option}=true",))]
                if option
                else []
            ),
            Change("Subtract the mean and divide by the deviation, both of the training part only."),
        ),
    )


@rule("classes are unbalanced", rank=1)
def unbalanced(record: Record) -> Iterator[Finding]:
    """The rarest class has less than a fifth of its fair share (1 / classes) of the training samples.

    For two classes that is a minority of 10 %, which Google's data preparation guide calls moderate imbalance (1 % to
    20 %); below a fiftieth, 1 %, extreme. Pixels and tokens are unbalanced by nature and not judged.
    """
    counts = [count for count in record.spec.get("class_counts") or [] if isinstance(count, int)]
    if (
        record.task != "classification"
        or len(counts) < 2
        or record.option("task.class_weights") == "balanced"
    ):
        return
    total, rarest, commonest = sum(counts), min(counts), max(counts)
    if not total or rarest * len(counts) >= RARE * total:
        return
    names = [str(name) for name in record.spec.get("class_names") or ()] or [
        str(at) for at in range(len(counts))
    ]
    rare, common = names[counts.index(rarest)], names[counts.index(commonest)]
    yield Finding(
        rule="classes are unbalanced",
        severity="error" if rarest * len(counts) < VERY_RARE * total else "hint",
        what=f"Class {rare} is rare: {rarest:,} of {total:,} training samples.",
        evidence=f"{rarest / total:.2%} are {rare}, {commonest / total:.1%} are {common}; "
        f"always saying {common} is right {commonest / total:.1%} of the time",
        why="The loss is mostly that of the common classes, so the rare one is given up. "
        "Accuracy does not show it: look at recall and F1.",
        changes=(
            Change("Weigh each class by the inverse of its share.", ("task.class_weights=balanced",)),
            Change(
                "Choose the best weights by F1.", ("training.monitor=val/f1", "training.monitor_mode=max")
            ),
        ),
    )


@rule("samples leak between splits", rank=0)
def leakage(record: Record) -> Iterator[Finding]:
    """Validation or test rows that are in the training part too, more than chance repeats rows.

    Coarse data repeats itself: a share q of equal rows within the training part lets about as many be met across
    parts, so a leak is more than 2 % + 2 q, or half of all whatever q is: then rows were copied before the split.
    """
    found = record.examination.get("duplicates") or {}
    within = figure(found, "within_train") or 0.0
    for part in ("val", "test"):
        rows, met = figure(found, part, "rows"), figure(found, part, "in_train")
        if not rows or met is None or met < LEAST_ROWS:
            continue
        share = met / rows
        if share < LEAKED + 2 * within and share < MANY:
            continue
        pair = list(found[part].get("first") or [])
        yield Finding(
            rule="samples leak between splits",
            severity="error",
            what=f"{share:.0%} of the {part} samples are training samples as well.",
            evidence=f"{met:.0f} of {rows:.0f} {part} rows equal a training row number by number"
            + (f", such as {part} {pair[0]} and train {pair[1]}" if len(pair) == 2 else "")
            + f"; {within:.1%} of the training rows repeat another",
            why="The network has seen the answers, so its figures say nothing about new samples. "
            "Copies must be removed, or kept together, before the data is split.",
            changes=(Change("Remove repeated rows before splitting."),),
        )
        return
