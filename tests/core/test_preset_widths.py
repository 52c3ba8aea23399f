"""Breaking a width of any shipped preset: what fails is told, and each of the fixes offered for it is tried again."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dlcore import preset as presets
from dlcore.engine.shapes import Shapes
from dlcore.preset.sections import Preset
from dlcore.registry import MODELS
from dlcore.registry.schema import Field

PRESETS = presets.shipped()
BROKEN = {  # one of each family: a value that does not go with the rest, and what mends it first
    "digits-cnn": ("channels", [32, 64, 32, 64], [32, 64, 32]),
    "mnist-cnn": ("kernels", [5, 3, 3], [5, 3]),
    "cifar10-resnet": ("widths", [16, 32, 8], None),
    "fashion-vit": ("heads", 7, 8),
    "membrane-unet": ("channels", [], None),
    "digits-gru": ("hidden", 0, None),
    "digits-gan": ("generator", [0], None),
    "mnist-dcgan": ("channels", [32, 64, 32, 64, 32, 64], None),
    "digits-diffusion": ("patch", 3, 4),
    "docs-gpt": ("embed_dim", 130, None),
    "docs-bert": ("heads", 1000, None),
    "wine-mlp": ("widths", [0, 64], None),
}


class Asked:
    """An engine's shapes, asked until nothing better will follow."""

    def __init__(self, preset: Preset, path: Path) -> None:
        self.changed = threading.Event()
        self.shapes = Shapes(self.changed.set)
        self.base = str(preset.base or path.parent)
        self.values: dict[str, dict[str, Any]] = {
            section: {"name": named.name, **named.options}
            for section, named in (("data", preset.data), ("model", preset.model), ("task", preset.task))
        }

    def __call__(self, options: Mapping[str, Any]) -> dict[str, Any]:
        values = {**self.values, "model": {**self.values["model"], **options}}
        for _ in range(20):
            self.changed.clear()
            told, more = self.shapes.answer({"values": values, "base": self.base})
            if not more:
                return told
            if told["data"]["state"] == "reading":
                self.shapes.specs.begin()
                assert self.changed.wait(60)
        raise AssertionError("there is always more to come")


def asked(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.setenv("DLTUI_DATA", str(folder))
    return Asked(presets.load(path, builders=True), path)


def other_values(field: Field, given: Any) -> Iterator[Any]:
    """Values that people try: too small, odd, far too large; too many and too few blocks."""
    if isinstance(given, bool) or field.choices:
        return
    if isinstance(given, int):
        yield from dict.fromkeys((0, given - 1, given + 1, 7, 1000))
    elif isinstance(given, list) and all(isinstance(size, int) for size in given) and given:
        yield from ([], [0], given * 4, [*given, 1], [7], [2], [given[0] + 1, *given[1:]], given[:-1], [1000])


def check_mended(ask: Asked, key: str, value: Any) -> list[str]:
    """What is not as it should be with an option at a value; nothing where the value goes."""
    told = ask({key: value})
    if told["state"] == "ok":
        return []
    what, failure = f"{key} = {value}", told["failure"]
    if not failure or not failure["message"]:
        return [f"{what}: no reason"]
    if not told["fixes"]:
        return [f"{what}: nothing offered for: {failure['message']}"]
    tried = [(fix["say"], ask({key: value, **fix["set"]["model"]})["state"]) for fix in told["fixes"]]
    return [f"{what}: {say} does not go" for say, state in tried if state != "ok"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_width_has_a_failing_row_and_a_fix(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, value, right = BROKEN[name]
    path = next(path for path in PRESETS if path.stem == name)
    ask = asked(path, tmp_path, monkeypatch)
    told = ask({key: value})
    assert told["state"] != "ok" and told["failure"]["message"]
    assert check_mended(ask, key, value) == []
    if right is not None:
        assert told["fixes"][0]["set"]["model"] == {key: right}


@pytest.mark.slow
@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_wrong_width_of_every_preset_is_mended(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = asked(path, tmp_path, monkeypatch)
    assert ask({})["state"] == "ok"
    entry = MODELS.entry(ask.values["model"]["name"], Path(ask.base))
    given = entry.validate({k: v for k, v in ask.values["model"].items() if k != "name"})[0]
    wrong = [
        line
        for field in entry.fields
        for value in other_values(field, given.get(field.name))
        for line in check_mended(ask, field.name, value)
    ]
    assert not wrong, "\n".join(wrong)
