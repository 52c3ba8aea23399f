"""Which sizes follow the batch, told by two passes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlcore.inspection.batch import BatchLook, compare_batches, mixing, other_batch
from dlcore.inspection.input_text import parse_inputs
from dlcore.inspection.shapes import trace


class Whatever(nn.Module):
    """A model that is one function."""

    def __init__(self, function, **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *inputs: Tensor):
        return self.function(self, *inputs)


def look(model: nn.Module, texts: Sequence[str]) -> BatchLook:
    given = parse_inputs(texts)
    first = trace(model, given.call)
    assert first.failure is None, first.failure
    return compare_batches(first, trace(model, given.resized(other_batch(given.batch)).call), given.batch)


def test_a_dimension_that_grows_with_the_batch_is_called_b() -> None:
    found = look(nn.Sequential(nn.Linear(4, 3)), ["32x5x4"])
    assert (found.inputs, found.outputs, found.keeps) == (("B×5×4",), ("B×5×3",), True)
    assert found.rows[0].outputs == ("B×5×3",)


def test_merged_halved_and_lost_batches_are_told() -> None:
    def outputs(model: Whatever, x: Tensor) -> tuple[Tensor, ...]:
        return x.flatten(0, 1), x[: len(x) // 2], x.mean(0), torch.cat([x, x[:1]])

    found = look(Whatever(outputs), ["8x9x4"])
    assert found.outputs == ("9B×4", "B/2×9×4", "9×4", "B+1×9×4")
    assert not found.keeps


def test_a_size_that_equals_the_batch_by_chance_is_not_the_batch() -> None:
    assert look(nn.Linear(7, 8), ["8x7"]).outputs == ("B×8",)


def test_b_says_where_the_batch_is() -> None:
    found = look(nn.LSTM(4, 6), ["12xBx4"])
    assert found.outputs == ("12×B×6", "1×B×6", "1×B×6")


def test_every_input_that_begins_with_the_batch_grows() -> None:
    model = Whatever(lambda model, a, b, c: (a + b) * c)
    assert look(model, ["6x5", "6x1", "1x5"]).outputs == ("B×5",)


def test_a_batch_written_into_the_code_is_a_problem_with_a_line() -> None:
    found = look(Whatever(lambda model, x: x.view(32, 20)), ["32x4x5"])
    assert "64 samples in place of 32" in found.problem
    assert found.source is not None and "view(32, 20)" in found.source.code


def test_layers_that_take_the_batch_for_time_are_named() -> None:
    right = Whatever(lambda model, x: model.a(x, x, x)[0], a=nn.MultiheadAttention(8, 2, batch_first=True))
    wrong = Whatever(lambda model, x: model.a(x, x, x)[0], a=nn.MultiheadAttention(8, 2))
    for model, count in ((right, 0), (wrong, 1)):
        given = parse_inputs(["4x5x8"])
        notes = mixing(look(model, ["4x5x8"]), trace(model, given.call), model)
        assert len(notes) == count
        assert all("batch_first=True" in note.message for note in notes)
