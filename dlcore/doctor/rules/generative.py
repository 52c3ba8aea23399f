"""Faults of networks that make things up: GANs and variational autoencoders."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dlcore.doctor.findings import Change, Finding
from dlcore.doctor.record import Record, figure
from dlcore.doctor.registry import rule

SURE = 0.05
FOOLED = 4.0
LEAST_STEPS = 60
ALIKE = 0.25
YOUNG = 0.5  # of the training
COLLAPSED_KL = 0.1
LEAST_EVALUATIONS = 2


@rule("one-sided GAN", rank=3)
def one_sided(record: Record) -> Iterator[Finding]:
    """For the last fifth of the steps the discriminator's loss is below 0.05 and the generator's above 4.

    -ln p = 4 means that the discriminator passes p = 2 % of the generated samples, and a loss of 0.05 that it gives
    the right answer 0.975 on both kinds, 2 · -ln 0.975; Goodfellow et al. (2014, section 4.1) have 2 ln 2 = 1.39
    for the discriminator and ln 2 for the generator when both are even. The mirror image, a discriminator at twice
    the even loss that passes everything, is the same fault.
    """
    judge, maker = record.curve("train/loss_discriminator"), record.curve("train/loss_generator")
    if min(len(judge), len(maker)) < LEAST_STEPS:
        return
    judged, made = judge.level(0.8, 1.0), maker.level(0.8, 1.0)
    sure = judged < SURE and made > FOOLED
    fooled = judged > 4 * math.log(2) and made < SURE
    if not (sure or fooled):
        return
    rate = record.number("optimizer.lr")
    winner = "discriminator" if sure else "generator"
    yield Finding(
        rule="one-sided GAN",
        severity="error",
        what=f"The {winner} has won: the other one has nothing to learn from.",
        evidence=f"loss of the discriminator {judged:.2g}, of the generator {made:.2g} in the last fifth of the "
        "steps; even opponents have 1.39 and 0.69",
        why="Each network learns from the other's mistakes. "
        "An opponent that makes none, or nothing but mistakes, has no gradient to give.",
        changes=(
            *(
                [Change("Call real samples real by 0.9 only.", ("task.smoothing=0.1",))]
                if record.has("task.smoothing")
                else []
            ),
            *(
                [Change(f"Lower the learning rate to {rate / 5:.2g}.", (f"optimizer.lr={rate / 5:.2g}",))]
                if rate
                else []
            ),
        ),
    )


@rule("GAN collapse", rank=3)
def collapse(record: Record) -> Iterator[Finding]:
    """Generated samples differ from each other by less than a quarter of what real ones do.

    Deviation between samples relative to the deviation of all values, of the generator's output and of the data.
    Pictures of k equally frequent kinds keep √(1 - 1/k) of the deviation, 0.7 for two of them; at a quarter there
    is one kind with small variations. Salimans et al. (2016, section 3.2) name the failure: all noise leads to one
    picture. Many a generator begins so: that of the preset digits-gan stands at 16 % after a fifth of its steps and at
    80 % after two fifths. It is told from the middle of the training on.
    """
    rows = [row for row in record.rows() if row.get("phase") == "generator" and row.get("call", 1) == 1]
    real = figure(record.last_look, "inputs", "spread")
    made = figure(rows[-1], "activation", "spread") if rows else None
    if real is None or made is None or len(record.curve("train/loss_generator")) < LEAST_STEPS:
        return
    if made >= ALIKE * real or record.looked < YOUNG:
        return
    yield Finding(
        rule="GAN collapse",
        severity="error",
        what="The generator has collapsed: whatever the noise, it draws the same.",
        evidence=f"{made:.1%} of the deviation of generated values is between samples, {real:.1%} of real ones",
        why="One picture that passes is all that the loss asks for. "
        "A discriminator that learns more slowly leaves the generator time to find others.",
        changes=(
            *(
                [Change("Call real samples real by 0.9 only.", ("task.smoothing=0.1",))]
                if record.has("task.smoothing")
                else []
            ),
            *(
                [
                    Change(
                        "Train on larger batches.",
                        (f"training.batch_size={int(2 * record.number('training.batch_size'))}",),
                    )
                ]
            ),
        ),
        layer=str(rows[-1].get("path", "")),
        step=record.last_look.get("step"),
    )


@rule("posterior collapse", rank=3)
def posterior_collapse(record: Record) -> Iterator[Finding]:
    """The codes of all samples together carry less than 0.1 nats.

    Burda et al. (2016, section 5.2) call a unit active when the variance of its mean is above 0.01; a code of one
    barely active unit has ½ · 0.01 nats. At 0.1 nats, e^0.1 = 1.1 kinds of samples can be told apart: none.
    """
    kl = record.curve("val/kl")
    if len(kl) < LEAST_EVALUATIONS or record.task != "vae":
        return
    now = kl.level(0.7, 1.0)
    if now >= COLLAPSED_KL:
        return
    beta = record.number("task.beta")
    yield Finding(
        rule="posterior collapse",
        severity="error",
        what="Posterior collapse: the decoder ignores the code.",
        evidence=f"val/kl {now:.2g} nats a sample: {math.exp(now):.2f} kinds of samples can be told apart",
        why="The KL term is cheapest when every sample has the same code, and the decoder then draws an average. "
        "A smaller weight on it, at least at first, makes the code worth using.",
        changes=(
            *(
                [Change(f"Weigh the KL term by {beta / 10:.2g}.", (f"task.beta={beta / 10:.2g}",))]
                if beta
                else []
            ),
        ),
    )
