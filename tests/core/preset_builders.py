"""Small registries with every kind of option, for tests of presets that need no torch."""

from __future__ import annotations

from typing import Any, Literal

from dlcore.fields import Count, CountOrZero, Fraction, NonNegative, Positive, Widths
from dlcore.registry import Registry

DATA = Registry("data", __name__)
MODELS = Registry("model", __name__)
TASKS = Registry("task", __name__)
OPTIMIZERS = Registry("optimizer", __name__)
SCHEDULERS = Registry("scheduler", __name__)

REGISTRIES = {
    "data": DATA,
    "model": MODELS,
    "task": TASKS,
    "optimizer": OPTIMIZERS,
    "scheduler": SCHEDULERS,
}


@DATA.register(group="bundled", input="image", target="class")
def digits(context: Any, *, val: Fraction = 0.1, test: Fraction = 0.2, classes: tuple[int, ...] = ()) -> str:
    """Small pictures of digits.

    Args:
        val: share for validation.
        test: share held back.
        classes: only these; empty for all.
    """
    return f"digits {val} {test} {classes}"


@DATA.register(group="own")
def csv(
    context: Any, *, path: str, delimiter: str | None = None, columns: dict[str, str] | None = None
) -> str:
    """A table of your own.

    Args:
        path: of the file.
        delimiter: between columns; found when left out.
        columns: renamed.
    """
    return f"{path} {delimiter} {columns}"


@MODELS.register(group="images", inputs=("image",))
class cnn:  # noqa: N801
    """A convolutional network.

    Some more about it.
    """

    def __init__(
        self,
        spec: Any,
        *,
        channels: Widths = (32, 64),
        hidden: Count = 128,
        dropout: Fraction = 0.5,
        pool: Literal["max", "average"] = "max",
        size: tuple[Count, Count] | None = None,
        pad: Count | Literal["same"] = "same",
        bias: bool = True,
    ) -> None:
        """Build it.

        Args:
            channels: of each block,
                from the input on.
            hidden: width of the head.
            size: of the picture, (height, width).
        """
        self.arguments = (spec, channels, hidden, dropout, pool, size, pad, bias)


@MODELS.register(group="first steps")
def linear(spec: Any) -> str:
    """One layer."""
    return "linear"


@TASKS.register(targets=("class", "binary"))
def classification(model: Any, spec: Any, *, label_smoothing: Fraction = 0.0) -> str:
    """Tell classes apart."""
    return f"classification {label_smoothing}"


@TASKS.register(targets=("number",))
def regression(model: Any, spec: Any, *, loss: Literal["mse", "mae"] = "mse") -> str:
    """Predict numbers."""
    return f"regression {loss}"


@OPTIMIZERS.register()
def adamw(
    params: Any,
    *,
    lr: Positive = 1e-3,
    betas: tuple[Fraction, Fraction] = (0.9, 0.999),
    decay: NonNegative = 0.01,
) -> str:
    """Adam with decoupled weight decay."""
    return f"adamw {lr} {betas} {decay}"


@OPTIMIZERS.register()
def sgd(params: Any, *, lr: Positive = 0.1, momentum: Fraction = 0.0) -> str:
    """Plain gradient descent."""
    return f"sgd {lr} {momentum}"


@SCHEDULERS.register()
class constant:  # noqa: N801
    """The same rate throughout."""

    def __init__(self, *, warmup: CountOrZero = 0) -> None:
        self.warmup = warmup
