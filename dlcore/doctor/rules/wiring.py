"""Faults of how the network is put together, seen before it trains."""

from __future__ import annotations

from collections.abc import Iterator

from dlcore.doctor.findings import Change, Finding
from dlcore.doctor.record import Record, figure
from dlcore.doctor.registry import rule
from dlcore.doctor.rules import advice

MIXED = 1e-2
CLASSES = ("classification", "causal_lm", "masked_lm", "segmentation")
FIXED_ANSWERS = ("classification", "regression", "segmentation", "causal_lm")
FREEZING = ("freeze", "frozen", "unfreeze", "pretrained", "weights")
FAR = 2.0


@rule("samples are mixed", rank=0)
def mixing(record: Record) -> Iterator[Finding]:
    """Another first sample changes the other samples' answers by over 1 % of the answers' deviation.

    In evaluation mode every sample is answered for itself: the exact change is 0, and what rounding makes of it is
    about 1e-6. The test perturbs one sample and looks at the rest, so it needs to know nothing of the layers.
    """
    change = figure(record.examination, "independence", "mixing", "change")
    if change is None or change < MIXED:
        return
    where = record.examination["independence"]["mixing"]
    layer, kind = str(where.get("layer", "")), str(where.get("type", ""))
    advice_, cause = (
        "Look for an operation over the batch axis: mean(0), softmax(0), a wrong transpose or view.",
        "",
    )
    if kind in ("MultiheadAttention", "TransformerEncoderLayer", "RNN", "LSTM", "GRU"):
        cause = f" {kind} takes (time, batch, features) unless it is told batch_first=True."
        advice_ = f"Build {layer or kind} with batch_first=True."
    elif "Norm" in kind:
        cause = " It uses the statistics of the batch at hand even in evaluation mode."
        advice_ = f"Build {layer or kind} with track_running_stats=True, the default."
    yield Finding(
        rule="samples are mixed",
        severity="error",
        what=f"The answer to one sample depends on the others in its batch{f', from {layer} on' if layer else ''}.",
        evidence=f"another first sample changed the answers to the others by {change:.2g} deviations"
        + (f"; {layer} ({kind}) is the first layer to differ." if layer else "."),
        why="A sample would be answered differently in other company, and worse when it is alone."
        + cause
        + ("" if cause else " The validation figures depend on the batch size."),
        changes=(Change(advice_),),
        layer=layer,
    )


@rule("random in evaluation", rank=0)
def random_evaluation(record: Record) -> Iterator[Finding]:
    """The same samples get answers that differ by over 1 % of their deviation, in evaluation mode.

    Nothing is random there: dropout is off and batch norm uses its averages. What still draws does not listen to
    ``model.eval()``. Models whose answer is drawn by design (variational, diffusion) are not judged.
    """
    change = figure(record.examination, "independence", "random", "change")
    if change is None or change < MIXED or record.task not in FIXED_ANSWERS:
        return
    layer = str(record.examination["independence"]["random"].get("layer", ""))
    yield Finding(
        rule="random in evaluation",
        severity="error",
        what="Validation runs in training mode: the same samples get other answers each time.",
        evidence=f"two passes over the same samples differ by {change:.2g} deviations"
        + (f", first in {layer}" if layer else ""),
        why="Validation and test figures are those of a network with units missing, and differ from call to call. "
        "Mostly it is F.dropout(x), which drops out always.",
        changes=(Change("Use nn.Dropout, or F.dropout(x, training=self.training)."),),
        layer=layer,
    )


@rule("wrong loss for the output", rank=0)
def wrong_output(record: Record) -> Iterator[Finding]:
    """The network's last operation is one that the loss does itself, or that cannot give the answers wanted.

    Read from the graph of the output: the name of the operation that made it. Cross-entropy takes logits and applies
    (log-)softmax; a second softmax leaves slopes of at most 1/4 and a loss that cannot fall below
    ln(1 + (C - 1)/e). What a ReLU or a sigmoid gives has no negative numbers, which standardised targets need.
    """
    output = record.examination.get("output") or {}
    made = str(output.get("made_by", ""))
    classes = record.task in CLASSES
    if classes and made.startswith("Softmax"):
        said = (
            "softmax, and cross-entropy applies it again",
            "Leave the softmax out: cross-entropy takes logits.",
        )
    elif classes and made.startswith("Sigmoid"):
        said = "sigmoid, and the loss applies its own", "Leave the sigmoid out: the loss takes logits."
    elif classes and made.startswith(("Relu", "Threshold")):
        said = (
            "ReLU: no logit is below 0, and where all are 0 there is no gradient",
            "Leave the last ReLU out.",
        )
    elif record.task == "regression" and made.startswith(("Relu", "Threshold", "Sigmoid", "Softmax", "Tanh")):
        said = f"{made.lower()}, whose values cannot reach every target", "End with a linear layer."
    else:
        return
    yield Finding(
        rule="wrong loss for the output",
        severity="error",
        what=f"The network ends in {said[0]}.",
        evidence=f"the output was made by {made}; "
        f"values from {output.get('min', 0.0):.3g} to {output.get('max', 0.0):.3g}",
        why="The loss expects plain numbers of any size, and squeezes them itself. "
        "Squeezed twice, the gradient is a fraction of what it should be and the loss stays high.",
        changes=(Change(said[1]),),
    )


@rule("unused parameters", rank=1)
def unused(record: Record) -> Iterator[Finding]:
    """Parameters that the backward pass does not reach. Over 1 % of all of them it is an error.

    A parameter without a path to the loss cannot learn. Biases alone are about 1 / width of a network, 1 % of one
    that is a hundred wide: more than that is a layer and no detail, fewer may be meant for later.
    """
    found = record.examination.get("unused") or {}
    share, names = figure(found, "share") or 0.0, [str(name) for name in found.get("names") or []]
    if not names:
        return
    yield Finding(
        rule="unused parameters",
        severity="error" if share > 0.01 else "hint",
        what=f"{found.get('count', len(names))} parameters get no gradient: {', '.join(names[:3])}"
        + (" …" if len(names) > 3 else "")
        + ".",
        evidence=f"{share:.1%} of all parameters have no path to the loss",
        why="They stay as they were drawn, whatever the training does. "
        "A layer that forward() does not call, or a detach() or no_grad() behind it, does that.",
        changes=(
            Change(
                f"Look for where forward() leaves {names[0].rpartition('.')[0] or names[0]} out, or detaches."
            ),
        ),
        layer=names[0].rpartition(".")[0],
    )


@rule("frozen parameters", rank=1)
def frozen(record: Record) -> Iterator[Finding]:
    """Parameters with ``requires_grad = False`` in a preset that says nothing of freezing.

    Freezing is asked for by an option; where none has such a name and a value, it happened in code. Below 1 % it is a
    scale or a bias (see unused parameters); from a tenth on it is a layer of one that has ten like it.
    """
    found = record.examination.get("frozen") or {}
    share, names = figure(found, "share") or 0.0, [str(name) for name in found.get("names") or []]
    options = {**(record.preset.get("model") or {}), **(record.preset.get("task") or {})}
    meant = any(
        word in key and value and value != "none" for key, value in options.items() for word in FREEZING
    )
    if not names or meant or share < 0.01:
        return
    yield Finding(
        rule="frozen parameters",
        severity="error" if share > 0.1 else "hint",
        what=f"{found.get('count', len(names))} parameters are frozen and no option asks for it: "
        f"{', '.join(names[:3])}.",
        evidence=f"{share:.1%} of all parameters have requires_grad = False",
        why="They keep their first random values. "
        "Only what comes after them can learn, from features that mean nothing.",
        changes=(Change("Remove requires_grad_(False) from the model, unless these weights come trained."),),
        layer=names[0].rpartition(".")[0],
    )


@rule("first loss is off", rank=1)
def first_loss(record: Record) -> Iterator[Finding]:
    """The loss before the first step is over twice a guess's.

    Untrained logits are near 0, which is a guess: ln(classes), or the variance of the target. Logits of deviation s
    add about s²/2, so twice ln 10 needs s = 2.1: a network that is sure of nonsense, from inputs or weights that
    are too large (Karpathy 2019, "verify loss @ init"). Twice that again is s = 3.7: one logit in twenty is beyond
    7, and its class at odds of a thousand to one.
    """
    loss, chance = figure(record.examination, "loss"), record.chance
    if loss is None or chance is None or loss < FAR * chance:
        return
    yield Finding(
        rule="first loss is off",
        severity="error" if loss > 2 * FAR * chance else "hint",
        what="The untrained network is sure of wrong answers.",
        evidence=f"loss {loss:.3g} before the first step; a guess has {chance:.3g}",
        why="The first steps are spent on unlearning nonsense, and are far too long where the loss is steep. "
        "Mostly the inputs are not normalised, or the weights of the last layer are drawn too large.",
        changes=(
            *advice.initialisation(record, "default"),
            Change("Bring the inputs to mean 0 and deviation 1."),
        ),
    )


@rule("cannot learn one batch", rank=1)
def cannot_overfit(record: Record) -> Iterator[Finding]:
    """200 steps on a few samples do not bring the loss to 30 % of its first value, with three learning rates.

    A network with as many parameters as it takes memorises a handful of samples, even with random labels (Zhang et
    al. 2017); what cannot has no way from the inputs to the answer, or no gradient along it.
    """
    found = record.examination.get("one_batch") or {}
    start, end = figure(found, "start"), figure(found, "end")
    if not found or found.get("learnt") or found.get("cut") or start is None:
        return
    reached = "nan" if end is None else f"{end:.3g}"
    tried = f"loss {start:.3g} → {reached} in {found.get('steps')} steps on {found.get('samples')} samples"
    rate = found.get("rescued_by")
    if isinstance(rate, float):
        yield Finding(
            rule="cannot learn one batch",
            severity="hint",
            what="With its own optimizer the network cannot even learn one batch by heart.",
            evidence=f"{tried}; adam with lr {rate:g} reaches {figure(found, 'rescued_end') or 0.0:.3g}",
            why="What cannot learn a handful of samples cannot learn thousands. "
            "Here it is the optimizer and not the network: another rate does it.",
            changes=(
                Change(f"Train with adam at {rate:g}.", ("optimizer.name=adam", f"optimizer.lr={rate:g}")),
            ),
        )
        return
    yield Finding(
        rule="cannot learn one batch",
        severity="error",
        what="The network cannot learn even one batch by heart.",
        evidence=f"{tried}; no better with adam at 0.01 and 0.001",
        why="What cannot learn a handful of samples cannot learn thousands. "
        "The way from the inputs to the answer, or of the gradient back, is blocked somewhere.",
        changes=(
            *advice.activation(record, "relu"),
            *advice.enlarge(record),
            Change("Look at the gradient flow in the inspector."),
        ),
    )


@rule("wrong gradient", rank=0)
def wrong_gradient(record: Record) -> Iterator[Finding]:
    """A parameter's slope by backward pass and by difference are a thousandth apart, in double precision.

    Rounding leaves 1e-6 or less; torch's gradcheck asks for 1e-3 as well.
    """
    worst = figure(record.examination, "derivatives", "worst")
    if worst is None or worst < 1e-3:
        return
    name = str(record.examination["derivatives"].get("parameter", ""))
    yield Finding(
        rule="wrong gradient",
        severity="error",
        what=f"The gradient of {name} is not the slope of the loss.",
        evidence=f"backward pass and central difference differ by {worst:.1%}",
        why="Training follows the gradient, and this one leads elsewhere. "
        "A backward() written by hand, a detach() or a rounding in forward() does that.",
        changes=(Change(f"Check the backward pass of what uses {name}."),),
        layer=name.rpartition(".")[0],
    )
