"""The shape calculator: its language, its answers against eager torch, and what it refuses."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dlcore.inspection.calculator.calculate import Answer, calculate
from dlcore.inspection.calculator.grammar import parse
from dlcore.inspection.calculator.rendering import render
from dlcore.inspection.calculator.syntax import (
    CalculatorError,
)
from dlcore.inspection.records import shape_text


def solved(line: str, given_input: str = "") -> str:
    answer = calculate(line, given_input)
    assert answer.problem is None, answer.problem
    return answer.solved


def result(line: str, given_input: str = "") -> str:
    answer = calculate(line, given_input)
    assert answer.problem is None, answer.problem
    return answer.result


class TestUnknowns:
    def test_the_promised_line(self) -> None:
        answer = calculate("Conv2d(3,32,3,padding=1) > MaxPool2d(2) > Flatten() > Linear(?,10)", "8x3x32x32")
        assert answer.solved == "Conv2d(3, 32, 3, padding=1) > MaxPool2d(2) > Flatten() > Linear(8192, 10)"
        assert answer.result == "8×10"
        assert [row.output for row in answer.rows] == [
            *("8×3×32×32", "8×32×32×32", "8×32×16×16", "8×8192", "8×10"),
        ]
        assert "896 parameters" in answer.rows[1].note

    @pytest.mark.parametrize(
        ("line", "given_input", "expected"),
        [
            ("Conv2d(?,8,3)", "2x5x9x9", "Conv2d(5, 8, 3)"),
            (
                "Conv2d(?,8,3) > BatchNorm2d(?) > ReLU()",
                "2x5x9x9",
                "Conv2d(5, 8, 3) > BatchNorm2d(8) > ReLU()",
            ),
            ("ConvTranspose2d(?,8,2,stride=2)", "2x5x9x9", "ConvTranspose2d(5, 8, 2, stride=2)"),
            ("LayerNorm(?)", "2x5x9", "LayerNorm(9)"),
            ("GroupNorm(3,?)", "2x6x9", "GroupNorm(3, 6)"),
            (
                "LSTM(?,7,batch_first=True) > Linear(?,2)",
                "2x5x9",
                "LSTM(9, 7, batch_first=True) > Linear(7, 2)",
            ),
            ("Embedding(?,6) > Linear(?,2)", "2x5:int64<300", "Embedding(300, 6) > Linear(6, 2)"),
            ("TransformerEncoderLayer(?,4)", "2x5x8", "TransformerEncoderLayer(8, 4)"),
            ("Linear(9,?) > Linear(77,3)", "2x9", "Linear(9, 77) > Linear(77, 3)"),
            ("Conv2d(3,8,?) > 2x8x28x28", "2x3x32x32", "Conv2d(3, 8, 5) > 2x8x28x28"),
            ("Conv2d(3,8,5,padding=?) > Flatten() > Linear(8192,10)", "2x3x32x32", None),
            ("Conv2d(3,?,3) > Flatten() > Linear(7200,10)", "2x3x32x32", None),
            ("view(2,?) > Linear(?,3)", "4x6", "view(2, 12) > Linear(12, 3)"),
            ("Unflatten(1,(?,7,7)) > Conv2d(?,4,3)", "2x392", "Unflatten(1, (8, 7, 7)) > Conv2d(8, 4, 3)"),
        ],
    )
    def test_each_is_found(self, line: str, given_input: str, expected: str | None) -> None:
        found = solved(line, given_input)
        assert "?" not in found
        assert expected is None or found == expected
        assert calculate(found, given_input).problem is None

    def test_what_nothing_decides_is_left_to_the_person(self) -> None:
        answer = calculate("Linear(9,?)", "2x9")
        assert answer.problem is not None and "nothing decides" in answer.problem.message
        assert "Linear(9,?)"[answer.problem.at] == "?"

    def test_what_no_number_satisfies_is_told_where_it_fails(self) -> None:
        line = "Conv2d(3,8,?) > 2x8x64x64"
        answer = calculate(line, "2x3x32x32")
        assert answer.problem is not None
        assert line[answer.problem.at :][: answer.problem.length] == "2x8x64x64"

    def test_solving_ends_soon(self) -> None:
        started = time.perf_counter()
        calculate(
            "Conv2d(?,?,?,padding=?,stride=?) > Conv2d(?,?,?) > Flatten() > Linear(99991,1)", "2x3x64x64"
        )
        assert time.perf_counter() - started < 10


class TestTensors:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("a: 8x1x5; b: 3x1; a+b", "8×3×5"),
            ("x: 2x3x4; x.view(2, ?)", "2×12"),
            ("x: 2x3x4; x.permute(2, 0, 1)", "4×2×3"),
            ("x: 2x3x4; y: 2x4x5; einsum('bij,bjk->bik', x, y)", "2×3×5"),
            ("x: 2x3x4; x @ x.mT", "2×3×3"),
            ("x: 3x4; torch.softmax(x, dim=-1).sum(0)", "4"),
            ("x: 3x4:int64; x / 2", "3×4"),
            ("x: 3x4:int64; x * 2", "3×4 int64"),
            ("x: 6x4; x[1:3, None, ::2]", "2×1×2"),
            ("x: 6x4; x[..., 0]", "6"),
            ("x: 6x4; a = x.T; b = a @ x; b", "4×4"),
            ("x: 6x4; cat((x, x), dim=1)", "6×8"),
            ("x: 6x4; stack([x, x, x])", "3×6×4"),
            ("x: 6x4; x.chunk(2)[1]", "3×4"),
            ("x: 6x4; -x**2 + 1", "6×4"),
            ("x: 5; x.sum()", "()"),
            ("2 * 8 * 8", "128"),
        ],
    )
    def test_shapes(self, line: str, expected: str) -> None:
        assert result(line) == expected

    def test_broadcasting_is_said(self) -> None:
        answer = calculate("a: 8x1x5; b: 3x1; a+b")
        assert answer.rows[-1].note == "8×1×5 and 3×1 are stretched to 8×3×5"

    @pytest.mark.parametrize(
        ("line", "place", "says"),
        [
            ("a: 3x4; b: 5x4; a @ b", "a @ b", "the last size of the first, 4"),
            ("a: 3x4; b: 5x4; 1 + (a + b)", "a + b", "sizes must be equal or 1"),
            ("a: 3x4; a.view(5, ?)", "a.view(5, ?)", "needs a multiple of 5 numbers"),
            ("a: 3x4; c", "c", "is not known"),
            ("a: 3x4; Lnear(4, 2)", "Lnear(4, 2)", "did you mean Linear"),
            ("a: 3x4; a.storage()", "a.storage()", "is not known here"),
            ("a: 3x4; a.__class__", "a.__class__", "is not known here"),
            ("a: 3x4x5; a.T", "a.T", "use .mT"),
            ("3x4 > Linear(5, 2)", "Linear(5, 2)", "needs 5 numbers in the last dimension"),
            ("3x4 > Linear(4)", "Linear(4)", "lacks"),
            ("3x4 > Linear(4, 2, padding=1)", "Linear(4, 2, padding=1)", "knows no padding"),
            ("a: 3x4; a.split(1, dm=2)", "a.split(1, dm=2)", ""),
            ("a: 100000x4; a.unbind()", "a.unbind()", "pieces"),
            ("3x4x5 > LSTM(5, 6, 1000000)", "LSTM(5, 6, 1000000)", "at most"),
            ("9**9**9**9", "9**9**9", "too large"),
            ("Linear(4, 2)", "Linear(4, 2)", "what goes in?"),
        ],
    )
    def test_what_is_wrong_has_a_place(self, line: str, place: str, says: str) -> None:
        answer = calculate(line)
        assert answer.problem is not None
        assert says in answer.problem.message, answer.problem.message
        found = line[answer.problem.at : answer.problem.at + answer.problem.length]
        assert found == place or place == "9**9**9"


class TestLanguage:
    @pytest.mark.parametrize(
        "line", ["", "1 +", "Linear(", "a:", "x = ", "(1, 2", "a.", "'open", "$", "grad x at", "x[", "1x"]
    )
    def test_what_cannot_be_read_is_told_with_a_place(self, line: str) -> None:
        with pytest.raises(CalculatorError) as raised:
            parse(line)
        assert 0 <= raised.value.at <= len(line)

    @pytest.mark.parametrize(
        "line",
        ["(" * 500 + "1" + ")" * 500, "-" * 500 + "1", "1" * 3000, "1**" * 400 + "1", "x" + "[0]" * 400],
    )
    def test_depth_and_length_have_an_end(self, line: str) -> None:
        assert calculate(line).problem is not None

    def test_a_tree_written_out_reads_as_the_same_tree(self) -> None:
        for line in (
            "a - (b - c) * 2",
            "-a ** 2",
            "(-a) ** 2",
            "f(a, (1, 2), k=[3])",
            "a[1:, ..., None, ::2].T @ b",
        ):
            text = render(parse(line)[0])
            assert render(parse(text)[0]) == text

    @settings(max_examples=400, deadline=None)
    @given(st.text(alphabet="abx0123?+-*/@()[].,:;=> '\"", max_size=30) | st.text(max_size=20))
    def test_any_text_has_an_answer(self, line: str) -> None:
        answer = calculate(line, "2x3")
        assert isinstance(answer, Answer)
        if answer.problem:
            assert 0 <= answer.problem.at <= len(line)

    @pytest.mark.parametrize(
        "line",
        [
            "__import__('os')",
            "x.__class__.__mro__",
            "eval('1')",
            "x.data",
            "x.apply_(print)",
            "open('f')",
            "torch.load('f')",
            "nn.Module()",
            "x.register_hook(1)",
            "x.numpy()",
            "os.system('ls')",
        ],
    )
    def test_nothing_beyond_the_vocabulary_is_reached(self, line: str) -> None:
        answer = calculate(line, "2x3")
        assert answer.problem is not None and "known" in answer.problem.message


class TestGradients:
    def test_the_promised_formula(self) -> None:
        answer = calculate("grad x**2+3*x+1 at x=2")
        assert answer.result == "x**2 + 3 * x + 1 = 11, d/dx = 7"

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("grad sum(w*x) + b at w=[1,2], x=[3,4], b=-1", "= 10, d/dw = [3, 4], d/dx = [1, 2], d/db = 1"),
            ("grad relu(x) at x=-1", "= 0, d/dx = 0"),
            ("grad sigmoid(x) at x=0", "= 0.5, d/dx = 0.25"),
            ("grad 5 at x=1", "= 5, d/dx = 0"),
            ("grad x at x=3", "x = 3, d/dx = 1"),
            ("grad -x**2 at x=3", "= -9, d/dx = -6"),
        ],
    )
    def test_values_and_slopes(self, line: str, expected: str) -> None:
        assert expected in result(line)

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("grad x*y at x=1", "y has no value"),
            ("grad x at x=[1,2]", "only one can be derived"),
            ("grad zeros(5) at x=1", "is not known here"),
            ("grad x at x=[[1],[2,3]]", "must be a number"),
        ],
    )
    def test_what_cannot_be_derived_is_told(self, line: str, says: str) -> None:
        answer = calculate(line)
        assert answer.problem is not None and says in answer.problem.message

    @settings(max_examples=50, deadline=None)
    @given(st.floats(-2, 2), st.floats(-2, 2))
    def test_slopes_agree_with_differences(self, x: float, y: float) -> None:
        def value(x: float, y: float) -> float:
            return float(
                result(f"grad sin(x)*exp(y)+x*y**2 at x={x:.6f}, y={y:.6f}").split(" = ")[1].split(",")[0]
            )

        line = f"grad sin(x)*exp(y)+x*y**2 at x={x:.6f}, y={y:.6f}"
        slope = float(result(line).split("d/dx = ")[1].split(",")[0])
        step = 1e-2
        assert slope == pytest.approx((value(x + step, y) - value(x - step, y)) / (2 * step), abs=2e-2)


# Chains of layers, made by hypothesis: each link fits what comes before it.
Link = tuple[str, str]  # as written with ?, as written without


@st.composite
def chains(draw: Any) -> tuple[str, list[Link]]:
    """An input of images, links that fit one after the other, the last ones on a flat vector."""
    channels, side = draw(st.integers(1, 4)), draw(st.integers(4, 16))
    shape = [draw(st.integers(2, 3)), channels, side, side]
    first = "x".join(map(str, shape))
    links: list[Link] = []
    for _ in range(draw(st.integers(0, 4))):
        out, kernel = draw(st.integers(1, 6)), draw(st.integers(1, 3))
        padding, stride = draw(st.integers(0, 1)), draw(st.integers(1, 2))
        choices = [
            (f"Conv2d({{}},{out},{kernel},padding={padding},stride={stride})", channels, out),
            (f"ConvTranspose2d({{}},{out},{kernel},stride={stride})", channels, out),
            ("BatchNorm2d({})", channels, channels),
            ("ReLU()", channels, channels),
            ("MaxPool2d(2)", channels, channels),
            ("Upsample(scale_factor=2)", channels, channels),
        ]
        text, before, channels = draw(st.sampled_from(choices))
        links.append((text.format("?"), text.format(before)))
    links.append(("Flatten()", "Flatten()"))
    for _ in range(draw(st.integers(0, 2))):
        width = draw(st.integers(1, 9))
        links.append((f"Linear(?,{width})", f"Linear(None,{width})"))
    return first, links


@settings(max_examples=150, deadline=None)
@given(chains())
def test_chains_agree_with_eager_torch(made: tuple[str, list[Link]]) -> None:
    first, links = made
    x = torch.zeros([int(size) for size in first.split("x")])
    outputs = []
    try:
        for _, link in links:
            name, _, arguments = link.partition("(")
            text = arguments.removesuffix(")").replace("None", str(x.shape[-1]))
            layer = eval(f"nn.{name}({text})", {"nn": nn})  # only what this file has written
            x = layer(x)
            outputs.append(shape_text(tuple(x.shape)))
    except (RuntimeError, ValueError):
        assert calculate(" > ".join(link for link, _ in links), first).problem is not None
        return
    answer = calculate(" > ".join(link for link, _ in links), first)
    assert answer.problem is None, answer.problem
    assert [row.output for row in answer.rows[1:]] == outputs
    assert answer.result == outputs[-1]
