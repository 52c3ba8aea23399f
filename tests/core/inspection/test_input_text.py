"""Inputs written in a line."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence

from dlcore.errors import UserError
from dlcore.inspection.input_text import BATCH, parse_inputs


def test_shapes_dtypes_and_limits() -> None:
    found = parse_inputs(
        ["32x3x8x8", "4x12:int64<1000", "ids=scalar:bool", "2×5:bf16".replace("bf16", "bfloat16")]
    )
    assert [tuple(tensor.shape) for tensor in found.args] == [(32, 3, 8, 8), (4, 12), (2, 5)]
    assert [tensor.dtype for tensor in found.args] == [torch.float32, torch.int64, torch.bfloat16]
    assert found.kwargs["ids"].shape == () and found.kwargs["ids"].dtype == torch.bool
    assert found.bounds == (None, (0, 999), None, None)


def test_nothing_takes_memory() -> None:
    assert parse_inputs(["100000x100000x1000"]).args[0].is_meta


def test_nested_values() -> None:
    found = parse_inputs(
        ["(2x4x8, (3, none))", "options={mask=2x4:bool, scale=float(0.5), deep=int(3), on=true}"]
    )
    assert found.args[0][0].shape == (2, 4, 8)
    assert found.args[0][1][0].shape == (3,) and found.args[0][1][1] is None
    assert found.kwargs["options"]["scale"] == 0.5
    assert (found.kwargs["options"]["deep"], found.kwargs["options"]["on"]) == (3, True)


def test_a_packed_sequence_has_lengths_of_all_sizes() -> None:
    packed = parse_inputs(["packed(4x12x8)"]).args[0]
    assert isinstance(packed, PackedSequence)
    assert len(packed.batch_sizes) == 12 and packed.data.shape[1] == 8


def test_the_batch_is_b_or_the_first_size() -> None:
    lettered, plain = parse_inputs(["12xBx4", "B"]), parse_inputs(["6x5", "other=6x1", "third=5x6"])
    assert lettered.batch == BATCH
    assert [tuple(tensor.shape) for tensor in lettered.resized(7).args] == [(12, 7, 4), (7,)]
    assert plain.batch == 6
    resized = plain.resized(9)
    assert resized.args[0].shape == (9, 5)
    assert resized.kwargs["other"].shape == (9, 1) and resized.kwargs["third"].shape == (5, 6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("32x3x", "from"),
        ("hello", "must be a shape"),
        ("3x4:float23", "did you mean"),
        ("3x4:float32<9", "whole numbers"),
        ("(2x3", "needs a comma or ')'"),
        ("{a}", "needs name=value"),
        ("x".join(["2"] * 13), "dimensions"),
        ("99999999999999999999x9999999999", "more numbers"),
        ("(" * 30 + "2" + ")" * 30, "nested too deep"),
        ("packed(4)", "packed"),
        ("int(1e3)", "must hold a number"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(UserError) as raised:
        parse_inputs([text])
    assert says in raised.value.lines[0]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789xB(){}=,:<abnoeint ", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_inputs([text])
    except UserError as error:
        assert len(error.lines) == 1


def test_a_plain_shape() -> None:
    assert tuple(parse_inputs(["8x3x32x32"]).first.shape) == (8, 3, 32, 32)
