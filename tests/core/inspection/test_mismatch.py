"""Broken networks: the failing layer, the rows before it, the reason in words, the user's own line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.inspection.shapes import Failure, trace


def ids(*shape: int) -> Tensor:
    return torch.zeros(*shape, dtype=torch.int64)


def failure_of(model: nn.Module, *inputs: Tensor) -> Failure:
    failure = trace(model, list(inputs)).failure
    assert failure is not None
    return failure


LAYERS: dict[str, tuple[nn.Module, Tensor, str]] = {
    "linear": (
        nn.Linear(1568, 10),
        torch.zeros(64, 3136),
        "Linear(in_features=1568) needs 1568 numbers in the last dimension, but its input 64×3136 has 3136",
    ),
    "linear of a number": (nn.Linear(3, 10), torch.zeros(()), "is a single number"),
    "linear of ids": (nn.Linear(3, 10), ids(4, 3), "has float32 weights, but its input is int64: convert"),
    "conv channels": (
        nn.Conv2d(3, 8, 3),
        torch.zeros(4, 1, 8, 8),
        "Conv2d(in_channels=3) needs 3 channels in dimension 1, but its input 4×1×8×8 has 1",
    ),
    "conv of channels last": (nn.Conv2d(3, 8, 3), torch.zeros(4, 8, 8, 3), "move the channels to the front"),
    "conv of flat": (
        nn.Conv2d(3, 8, 3),
        torch.zeros(4, 27),
        "Conv2d needs 4 dimensions (batch, channels, height, width), but its input 4×27 has 2",
    ),
    "conv of tiny": (
        nn.Conv2d(3, 8, 5, padding=1),
        torch.zeros(4, 3, 2, 2),
        "Conv2d's kernel of 5×5 does not fit an input of 2×2 padded to 4×4",
    ),
    "conv of bytes": (nn.Conv2d(3, 8, 3), torch.zeros(4, 3, 8, 8, dtype=torch.uint8), "its input is uint8"),
    "conv1d": (nn.Conv1d(3, 8, 3), torch.zeros(4, 5, 9), "Conv1d(in_channels=3) needs 3 channels"),
    "conv transpose": (
        nn.ConvTranspose2d(3, 8, 3),
        torch.zeros(4, 5, 8, 8),
        "ConvTranspose2d(in_channels=3) needs 3 channels",
    ),
    "pool of tiny": (
        nn.MaxPool2d(2),
        torch.zeros(4, 3, 1, 1),
        "MaxPool2d's kernel of 2×2 does not fit an input of 1×1",
    ),
    "average pool of tiny": (nn.AvgPool2d((4, 2)), torch.zeros(4, 3, 3, 3), "AvgPool2d's kernel of 4×2"),
    "batch norm features": (
        nn.BatchNorm2d(3),
        torch.zeros(4, 5, 8, 8),
        "BatchNorm2d(num_features=3) needs 3 features in dimension 1, but its input 4×5×8×8 has 5",
    ),
    "batch norm of flat": (nn.BatchNorm2d(3), torch.zeros(4, 3), "BatchNorm2d needs 4 dimensions"),
    "batch norm 1d of images": (nn.BatchNorm1d(3), torch.zeros(4, 3, 2, 2), "needs 2 or 3 dimensions"),
    "batch norm of one sample": (nn.BatchNorm1d(3), torch.zeros(1, 3), "use a batch of at least 2 samples"),
    "layer norm": (nn.LayerNorm(5), torch.zeros(4, 6), "whose last dimensions are 5, but it is 4×6"),
    "group norm": (nn.GroupNorm(2, 4), torch.zeros(3, 6, 2), "needs 4 channels in dimension 1"),
    "lstm": (
        nn.LSTM(5, 7, batch_first=True),
        torch.zeros(4, 5, 3),
        "LSTM(input_size=5) needs 5 features in the last dimension of (batch, time, features), "
        "but its input 4×5×3 has 3",
    ),
    "gru of images": (
        nn.GRU(5, 7),
        torch.zeros(4, 1, 6, 5),
        "GRU needs 3 dimensions (time, batch, features), but its input 4×1×6×5 has 4",
    ),
    "rnn of ids": (nn.RNN(5, 7), ids(4, 3, 5), "RNN has float32 weights, but its input is int64"),
    "embedding of numbers": (
        nn.Embedding(5, 7),
        torch.zeros(4, 3),
        "Embedding needs whole-number ids (int64), but its input is float32",
    ),
    "softmax": (nn.Softmax(dim=3), torch.zeros(4, 3), "softmax cannot work on 4×3: dimension 3"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_what_a_layer_needs_is_said_in_its_own_terms(name: str) -> None:
    layer, inputs, said = LAYERS[name]
    failure = failure_of(nn.Sequential(nn.Identity(), layer), inputs)
    assert said in failure.message
    assert "\n" not in failure.message
    assert (failure.path, failure.type) == ("1", type(layer).__name__)
    assert failure.kind in {"shape", "dtype"}
    assert failure.inputs[0].shape == tuple(inputs.shape)


@pytest.mark.parametrize("name", LAYERS)
def test_what_the_tracer_refuses_real_tensors_refuse_too(name: str) -> None:
    layer, inputs, _ = LAYERS[name]
    with pytest.raises((RuntimeError, ValueError, IndexError, NotImplementedError)):
        layer(inputs)


def test_attention_with_another_width() -> None:
    failure = failure_of(nn.MultiheadAttention(8, 2), *[torch.zeros(4, 3, 6)] * 3)
    assert "MultiheadAttention(embed_dim=8) needs 8 features" in failure.message


class Own(nn.Module):
    """A model whose own code fails after one good layer."""

    def __init__(self, code: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.code = code

    def forward(self, inputs: Tensor) -> Any:
        return self.code(self.linear(inputs))


Code = Callable[[Tensor], Any]

OPERATIONS: list[tuple[str, Code, str]] = [
    (
        "matmul",
        lambda x: x @ torch.ones(5, 3),
        "cannot multiply 16×4 and 5×3: the last size of the first, 4, "
        "must equal the last but one size of the second, 5",
    ),
    ("matmul", lambda x: torch.ones(5, 3) @ x, "matmul cannot multiply 5×3 and 16×4"),
    ("matmul", lambda x: x @ torch.ones(3), "must equal the size of the second, 3"),
    ("matmul", lambda x: x.view(4, 4, 4) @ torch.ones(3, 4, 4), "all sizes before the last two"),
    ("bmm", lambda x: torch.bmm(x, x), "bmm multiplies tensors of 3 dimensions, but gets 16×4 and 16×4"),
    ("linear", lambda x: F.linear(x, torch.ones(3, 7)), "linear's weight 3×7 needs 7 numbers"),
    ("cat", lambda x: torch.cat([x, torch.ones(3, 5)]), "cat cannot join 16×4 and 3×5"),
    ("cat", lambda x: torch.cat([x, torch.ones(3)]), "equally many dimensions, but gets 16×4 and 3"),
    ("stack", lambda x: torch.stack([x, x[:2]]), "their shapes must be equal"),
    (
        "add",
        lambda x: x + torch.ones(16, 3),
        "add cannot combine 16×4 and 16×3: dimension -1, counted from the end, "
        "is 4 in one and 3 in the other; sizes must be equal or 1",
    ),
    ("mul", lambda x: 1 - x * torch.ones(5, 4), "mul cannot combine 16×4 and 5×4: dimension -2"),
    ("add", lambda x: x.add_(torch.ones(7, 4)), "add cannot combine 16×4 and 7×4"),
    ("view", lambda x: x.view(3, -1), "view to 3×-1 needs a multiple of 3 numbers, but 16×4 has 64"),
    ("view", lambda x: x.t().view(-1), "use reshape"),
    ("reshape", lambda x: x.reshape(16, 5), "reshape to 16×5 needs 80 numbers, but 16×4 has 64"),
    ("conv2d", lambda x: F.conv2d(x, torch.ones(2, 3, 3, 3)), "conv2d cannot work on 16×4 and 2×3×3×3"),
    ("cross_entropy", lambda x: F.cross_entropy(x, ids(3)), "cannot work on 16×4 float32 and 3 int64"),
]


@pytest.mark.parametrize(("operation", "code", "said"), OPERATIONS)
def test_operations_between_layers(operation: str, code: Code, said: str) -> None:
    result = trace(Own(code), (16, 4))
    failure = result.failure
    assert failure is not None
    assert said in failure.message
    assert (failure.kind, failure.path, failure.type) == ("shape", "", "Own")
    assert failure.operation == operation
    assert failure.operands
    assert [row.path for row in result.rows] == ["linear"]


def test_an_operation_on_two_dtypes() -> None:
    failure = failure_of(Own(lambda x: F.linear(x, torch.ones(3, 4).double())), torch.zeros(16, 4))
    assert failure.kind == "dtype"
    assert "linear cannot work on 16×4 float32 and 3×4 float64" in failure.message


class Broken(nn.Module):
    """The classic: a flatten size of another image size."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 7 * 7, 10))

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.features(inputs)
        return self.head(features)


def test_rows_up_to_the_failure_survive() -> None:
    result = trace(Broken(), (2, 1, 28, 28))
    assert [row.path for row in result.rows] == ["features.0", "features.1", "features.2", "head.0"]
    assert result.failure is not None
    assert result.failure.path == "head.1"
    assert result.outputs == ()
    assert result.unused == ()
    assert result.parameters == 8 * 10 + 392 * 10 + 10


def test_the_users_own_line_is_named() -> None:
    line = failure_of(Broken(), torch.zeros(2, 1, 28, 28)).line
    assert line is not None
    assert line.file == __file__
    assert (line.function, line.code) == ("forward", "return self.head(features)")


def test_a_layer_at_the_top_has_no_line_of_the_user() -> None:
    assert failure_of(nn.Linear(3, 3), torch.zeros(2, 4)).line is None


def test_a_bug_in_the_users_code_is_no_shape_problem() -> None:
    failure = failure_of(Own(lambda x: x.no_such_thing), torch.zeros(2, 4))
    assert failure.kind == "error"
    assert failure.message.startswith("AttributeError: ")
    failure = failure_of(Own(lambda x: 1 / 0), torch.zeros(2, 4))
    assert (failure.kind, failure.message) == ("error", "ZeroDivisionError: division by zero")


def test_missing_arguments_are_told() -> None:
    failure = failure_of(nn.Bilinear(3, 4, 5), torch.zeros(2, 3))
    assert failure.kind == "error"
    assert "input2" in failure.message


def test_an_exception_that_the_model_catches_is_no_failure() -> None:
    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right = nn.Linear(3, 2), nn.Linear(4, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            try:
                return self.wrong(inputs)
            except RuntimeError:
                return self.right(inputs)

    result = trace(Tries(), (5, 4))
    assert result.failure is None
    assert [row.path for row in result.rows] == ["right"]


def test_hidden_state_of_another_batch() -> None:
    class Stateful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 6, batch_first=True)

        def forward(self, inputs: Tensor) -> Tensor:
            state = torch.zeros(1, 32, 6)
            return self.lstm(inputs, (state, state))[0]

    assert trace(Stateful(), (32, 5, 4)).failure is None
    failure = failure_of(Stateful(), torch.zeros(7, 5, 4))
    assert (failure.path, failure.kind) == ("lstm", "shape")
    assert "32" in failure.message
    assert "7" in failure.message
