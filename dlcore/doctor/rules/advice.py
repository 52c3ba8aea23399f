"""Changes that several rules propose, each only where the preset has the key that it changes."""

from __future__ import annotations

from collections.abc import Iterator

from dlcore.doctor.findings import Change
from dlcore.doctor.record import Record

FACTOR = 10.0
"""Learning rates are searched by factors of ten, then three: the optimum is broad (Bengio 2012, section 3.1)."""


def learning_rate(record: Record, factor: float) -> Iterator[Change]:
    """The learning rate times a factor."""
    rate = record.number("optimizer.lr") * factor
    if rate > 0:
        way = "Raise" if factor > 1 else "Lower"
        yield Change(f"{way} the learning rate to {rate:.2g}.", (f"optimizer.lr={rate:.2g}",))


def clip(record: Record, norm: float = 1.0) -> Iterator[Change]:
    """A limit on the gradient's length."""
    if record.number("training.clip_norm") == 0:
        yield Change(f"Clip gradients longer than {norm:.2g}.", (f"training.clip_norm={norm:.2g}",))


def activation(record: Record, name: str) -> Iterator[Change]:
    """Another activation."""
    if record.has("model.activation") and record.option("model.activation") != name:
        yield Change(f"Use {name} as the activation.", (f"model.activation={name}",))


def rectifiers(record: Record) -> Iterator[Change]:
    """ReLUs, with weights drawn so that signals keep their size through them (He et al. 2015) where that can be had."""
    alone, drawn = list(activation(record, "relu")), list(initialisation(record, "he"))
    if alone and drawn:
        yield Change(
            "Use relu as the activation and draw the first weights by he.", (*alone[0].set, *drawn[0].set)
        )
    else:
        yield from (*alone, *drawn)


def initialisation(record: Record, name: str) -> Iterator[Change]:
    """Another draw of the first weights."""
    if record.has("model.init") and record.option("model.init") != name:
        yield Change(f"Draw the first weights by {name}.", (f"model.init={name}",))


def batch_norm(record: Record) -> Iterator[Change]:
    """Normalisation between the layers."""
    if record.option("model.batch_norm") is False:
        yield Change("Normalise every layer over the batch.", ("model.batch_norm=true",))


def regularise(record: Record) -> Iterator[Change]:
    """Against learning the training samples by heart."""
    dropout = record.option("model.dropout")
    if isinstance(dropout, int | float) and dropout < 0.5:
        yield Change("Silence half of the hidden units at random.", ("model.dropout=0.5",))
    if record.has("optimizer.weight_decay") and record.number("optimizer.weight_decay") < 0.1:
        yield Change("Pull the weights towards 0.", ("optimizer.weight_decay=0.1",))


def enlarge(record: Record) -> Iterator[Change]:
    """A larger network, in whatever its builder calls size."""
    for key in ("widths", "channels"):
        sizes = record.option(f"model.{key}")
        if isinstance(sizes, list) and sizes and all(isinstance(size, int) for size in sizes):
            wider = [size * 4 for size in sizes]
            yield Change(f"Make every layer four times as wide: {wider}.", (f"model.{key}={wider}",))
            return
        if sizes == []:
            yield Change("Add a hidden layer.", (f"model.{key}=[64]",))
            return
    for key in ("hidden", "embed_dim"):
        size = record.option(f"model.{key}")
        if isinstance(size, int) and not isinstance(size, bool):
            yield Change(f"Give the network {4 * size} hidden units.", (f"model.{key}={4 * size}",))
            return
