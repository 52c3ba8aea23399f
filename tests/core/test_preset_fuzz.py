"""Whatever a preset says, the answer is a preset or one-line errors, at once.

``DLTUI_FUZZ_EXAMPLES=10000`` runs more examples than the usual 500.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from typing import Any

import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlcore.preset import PresetError, dump, loads, section_fields, shipped
from dlcore.preset.sections import FIXED
from dlcore.text_safety import safe_text
from tests.core.preset_builders import REGISTRIES

fuzz = settings(
    max_examples=int(os.environ.get("DLTUI_FUZZ_EXAMPLES", "500")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

SAMPLE = """\
# Handwritten digits with a small convolutional network.
[about]
title = "Digits"
chapter = 4
teaches = \"\"\"convolution,
pooling\"\"\"
try = [
    { say = "a smaller net", set = ["model.channels=[8, 16]"] },
    { say = "no dropout", set = ["model.dropout=0"] },
]

[data]
name = "digits"
val = 0.1

[model]
name = "cnn"
channels = [
    32,  # first block
    64,
]
dropout = 0.5
pool = 'max'

[optimizer]
name = "adamw"
lr = 1e-3
betas = [0.9, 0.999]

[training]
epochs = 12
batch_size = 64
precision = "bf16"
clip_norm = 1.0
monitor = "val/loss"
"""

KEYS = {section: [field.name for field in section_fields(section)] for section in FIXED}
for _section, _registry in REGISTRIES.items():
    KEYS[_section] = ["name", *(field.name for entry in _registry.entries() for field in entry.fields)]
NAMES = [entry.name for registry in REGISTRIES.values() for entry in registry.entries()]
PLACES = [(section, key) for section, keys in KEYS.items() for key in keys]

# A line of the text, an override, or a place without a line (what is missing has none), then the message.
FORM = re.compile(
    r"x\.toml:\d+: .|x\.toml: [^ ]+: .|--set .*: .|x\.toml: (has more than|is larger than|… and) "
)


def answer(text: str, overrides: Sequence[str] = ()) -> None:
    """Loads with and without builders; each time the answer must be in the right form, and quick."""
    for builders in (False, True):
        # The quicker of two, because the first may have waited for the garbage of all examples before it.
        if seconds_to_answer(text, overrides, builders) > 1:
            assert seconds_to_answer(text, overrides, builders) < 1


def seconds_to_answer(text: str, overrides: Sequence[str], builders: bool) -> float:
    """Checks the form of one answer; what loads must load again from what is written of it."""
    started = time.process_time()
    try:
        preset = loads(text, "x.toml", overrides, builders=builders, registries=REGISTRIES)
    except PresetError as error:
        assert error.lines
        for line in error.lines:
            assert FORM.match(line) and line == safe_text(line), line
    else:
        assert loads(dump(preset), "y.toml", builders=builders, registries=REGISTRIES) == preset
    return time.process_time() - started


scalars = st.one_of(
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.sampled_from([*NAMES, "auto", "cuda:0", "fp16", "val/loss", "", "nan", "net.py:Net", "/x.py:"]),
    st.text(max_size=10),
    st.dates(),
    st.times(),
    st.datetimes(),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
texts = {path.stem: path.read_text(encoding="utf-8") for path in shipped()} | {"sample": SAMPLE}


@st.composite
def presets_with_random_values(draw: st.DrawFn) -> str:
    """A preset that is right but for some values."""
    data: dict[str, Any] = {"data": {"name": "digits"}, "model": {"name": "cnn"}}
    for section, key in draw(st.lists(st.sampled_from(PLACES), max_size=6)):
        data.setdefault(section, {})[key] = draw(values)
    for key in draw(st.lists(st.text(max_size=8), max_size=2)):
        data.setdefault(draw(st.sampled_from([*KEYS, "else"])), {})[key] = draw(values)
    return tomli_w.dumps(data)


@st.composite
def mutated_presets(draw: st.DrawFn) -> str:
    """A real preset in which pieces are cut, doubled, moved, or replaced."""
    text = draw(st.sampled_from(sorted(texts.values())))
    for _ in range(draw(st.integers(1, 5))):
        first = draw(st.integers(0, len(text)))
        last = min(len(text), first + draw(st.sampled_from([0, 1, 2, 5, 20, 200])))
        piece = draw(
            st.sampled_from(
                ["", text[first:last] * 2, "\n", '"', "'''", '"""', "[", "]", "{", "}", "=", ".", "#"]
            )
            | st.sampled_from(
                [",", "\\", "[[", "nan", "-inf", "1e999", "-1", "\r", "\x00", "\ufeff", "\ud800"]
            )
            | st.text(max_size=5)
        )
        text = text[:first] + piece + text[last:]
    return text


fragments = st.sampled_from(
    [f"[{section}]\n" for section in KEYS]
    + [f"{key} = " for _, key in PLACES]
    + [f"{section}.{key} = " for section, key in PLACES[::7]]
    + [
        "[[about.try]]\n",
        "[model.inner]\n",
        "\n",
        "\n",
        "\n",
        " ",
        ", ",
        "[",
        "]",
        "{ ",
        " }",
        "# x\n",
        "= ",
        "'",
        '"',
    ]
    + [
        "1",
        "-1",
        "0.5",
        "nan",
        "inf",
        "true",
        '"cnn"',
        '"digits"',
        "'x'",
        "[1, 2]",
        "[]",
        "{a = 1}",
        '"""',
        "\\",
    ]
    + ["1979-05-27", "07:32:00", "0x1f", "9" * 30, "1_000", "é"]
)


@fuzz
@given(presets_with_random_values())
def test_random_values_in_every_key(text: str) -> None:
    answer(text)


@fuzz
@given(mutated_presets())
def test_mutated_presets(text: str) -> None:
    answer(text)


@fuzz
@given(st.lists(fragments | st.text(max_size=4), max_size=40).map("".join))
def test_text_like_toml(text: str) -> None:
    answer(text)


@fuzz
@given(st.binary(max_size=200))
def test_bytes(raw: bytes) -> None:
    answer(raw.decode("utf-8", "surrogateescape"))


@st.composite
def random_overrides(draw: st.DrawFn) -> str:
    section, key = draw(st.sampled_from(PLACES) | st.tuples(st.text(max_size=5), st.text(max_size=5)))
    value = draw(
        values.map(str) | st.text() | st.sampled_from(["[1,", "nan", "\n[x]\ny=1", "1 # x", "{a=1}"])
    )
    return draw(
        st.sampled_from(
            [f"{section}.{key}={value}", f"{section}.{key}.x={value}", f"{section}={value}", value]
        )
    )


@fuzz
@given(st.lists(random_overrides(), max_size=4))
def test_overrides(overrides: list[str]) -> None:
    answer(SAMPLE, overrides)
