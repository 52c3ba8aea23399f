"""What a task asks of its network's answers, said in one sentence where they are something else.

Without it torch would complain of its own, or, worse, broadcast: squared errors of (batch,) and (batch, 1) are
(batch, batch) numbers that mean nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from torch import Tensor, nn

from dlcore.errors import UserError


def require_shape(answers: object, wanted: Sequence[int], model: nn.Module, meaning: str) -> None:
    """Costs a microsecond a batch.

    Args:
        wanted: the shape that the answers must have.
        meaning: of that shape, in words.

    Raises:
        UserError: they are of another shape, or no tensor.
    """
    if not isinstance(answers, Tensor):
        got = "nothing" if answers is None else f"a {type(answers).__name__}"
    elif answers.shape == tuple(wanted):
        return
    else:
        got = _written(answers.shape)
    raise UserError(f"{type(model).__name__} answers {got}, but the task needs {_written(wanted)}: {meaning}")


def require_arguments(model: nn.Module, *meanings: str, such_as: str) -> None:
    """Refuse a network that cannot be called with so many arguments.

    Args:
        meanings: what each argument is.
        such_as: a network that can.

    Raises:
        UserError: it takes fewer, or wants more.
    """
    try:
        inspect.signature(model.forward).bind(*meanings)
    except TypeError:
        given = " and ".join(meanings)
        raise UserError(
            f"the task calls its network with {given}, which {type(model).__name__} does not take; '{such_as}' does"
        ) from None


def _written(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "a single number"
