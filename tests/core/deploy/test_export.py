"""Exported files: each is loaded in a fresh process and must answer like the network, or is not kept."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dlcore import trained
from dlcore.deploy.card import write_card
from dlcore.deploy.export import compare, describe, export
from dlcore.deploy.exporting import FORMATS, Checked, Options, format_of
from dlcore.deploy.formats.weights import SafeTensors
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from tests.core.deploy.small_runs import CARTPOLE, DIABETES, DIGITS, DRAWING, IRIS, TRAINING

TrainedOnce = Callable[[str], RunDir]
DYNAMIC = Options(dynamic=True)


@pytest.mark.parametrize("to", FORMATS.names())
@pytest.mark.parametrize("options", [Options(), DYNAMIC], ids=["one sample", "any batch"])
def test_every_format_answers_like_the_network(
    to: str, options: Options, trained_once: TrainedOnce, tmp_path: Path
) -> None:
    out = tmp_path / f"model{format_of(to).suffix}"
    checked = export(trained.load(trained_once(DIGITS), device="cpu"), to, out, options)
    assert checked.real
    assert checked.samples == 16
    assert checked.difference <= checked.tolerance
    assert checked.bytes == out.stat().st_size
    assert any("deprecated" in note for note in checked.notes) == bool(format_of(to).deprecated)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("to", ["onnx", "torchscript"])
def test_eight_bits_are_smaller_and_nearly_as_good(
    to: str, trained_once: TrainedOnce, tmp_path: Path
) -> None:
    found = trained.load(trained_once(DIABETES), device="cpu")
    whole = export(found, to, tmp_path / "whole", DYNAMIC)
    small = export(found, to, tmp_path / "small", Options(dynamic=True, int8=True))
    assert whole.difference < small.difference <= small.tolerance


def test_eight_bits_where_a_format_has_none_name_those_that_have(
    trained_once: TrainedOnce, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="--int8 goes with --to onnx or torchscript, not with pt2"):
        export(trained.load(trained_once(IRIS)), "pt2", tmp_path / "a", Options(int8=True))


def test_a_file_that_answers_otherwise_is_not_kept(
    trained_once: TrainedOnce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SafeTensors.write

    def spoilt(self: SafeTensors, subject: Any, path: Path, options: Options) -> None:
        state = {name: value * 1.01 for name, value in subject.network.state_dict().items()}
        network = trained.load(trained_once(IRIS), device="cpu").task.model
        network.load_state_dict(state)
        whole(self, replace(subject, network=network), path, options)

    monkeypatch.setattr(SafeTensors, "write", spoilt)
    with pytest.raises(UserError, match="does not answer like the network"):
        export(trained.load(trained_once(IRIS), device="cpu"), "safetensors", tmp_path / "a", Options())
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_cannot_be_traced_is_one_sentence_and_leaves_nothing(
    trained_once: TrainedOnce, tmp_path: Path
) -> None:
    class Choosy(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs * 2 if float(inputs.sum()) > 0 else inputs

    found = trained.load(trained_once(IRIS), device="cpu")
    found.task.model = Choosy()
    with pytest.raises(UserError) as caught:
        export(found, "pt2", tmp_path / "a", Options())
    assert caught.value.lines[0].startswith("this network cannot be written as pt2: ")
    assert len(caught.value.lines) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_data_is_gone_is_compared_on_made_up_inputs(
    trained_once: TrainedOnce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise UserError("the data is gone")

    monkeypatch.setattr("dlcore.assembly.build_data", gone)
    checked = export(trained.load(trained_once(IRIS), device="cpu"), "safetensors", tmp_path / "a", Options())
    assert not checked.real
    assert "made-up inputs" in checked.notes[0]


def test_onnx_says_how_inputs_are_prepared_and_runs_without_dltui(
    trained_once: TrainedOnce, tmp_path: Path
) -> None:
    import onnxruntime

    found = trained.load(trained_once(DIGITS), device="cpu")
    export(found, "onnx", tmp_path / "a.onnx", DYNAMIC)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["dltui.preprocessing"]) == found.spec.preprocessing
    assert json.loads(facts["dltui.class_names"]) == list(found.spec.class_names)
    (slot,) = session.get_inputs()
    assert slot.name == "input"
    raw = np.full((3, 1, 8, 8), 7.0, np.float32)
    ready = (raw / 16 - np.float32(found.spec.preprocessing["mean"][0])) / np.float32(
        found.spec.preprocessing["std"][0]
    )
    (answers,) = session.run(None, {"input": ready})
    wanted = found.task.model(torch.from_numpy(ready)).detach().numpy()
    np.testing.assert_allclose(answers, wanted, atol=1e-5)


def of_kind(kind: str, folder: Path) -> str:
    """A preset whose network takes other inputs."""
    (folder / "play.txt").write_text("the cat sat on the mat. " * 120)
    (folder / "waves.csv").write_text("value\n" + "\n".join(str(at % 7 + at / 9) for at in range(90)) + "\n")
    brief = TRAINING.replace("epochs = 3", "epochs = 1")
    return {
        "pictures": DIGITS,
        "texts": '[data]\nname = "text_file"\npath = "play.txt"\nwindow = 16\ntest = 0.2\n'
        '[model]\nname = "gpt"\nembed_dim = 16\nheads = 2\nlayers = 1\n' + brief,
        "noise": DRAWING["gan"],
        "series": '[data]\nname = "series"\npath = "waves.csv"\nwindow = 8\n[model]\nname = "lstm"\nhidden = 4\n'
        '[task]\nname = "forecasting"\n' + brief,
        "states": CARTPOLE,
    }[kind]  # fmt: skip


def card_of(found: trained.Trained, to: str, folder: Path) -> tuple[str, list[Path]]:
    """A file that was written, not checked, and its card."""
    path = folder / f"file{format_of(to).suffix}"
    subject, real = describe(found)
    format_of(to).write(subject, path, Options())
    checked = Checked(path, path.stat().st_size, 0.0, 1.0, 16, real)
    card, *pictures = write_card(found, checked, to)
    return card.read_text(), pictures


def lines_in(card: str) -> str:
    """The Python of the card."""
    match = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert match is not None
    return match[1]


class TestCard:
    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
    @pytest.mark.parametrize("to", FORMATS.names())
    def test_its_lines_run_as_given(
        self, to: str, trained_once: TrainedOnce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        found = trained.load(trained_once(IRIS), device="cpu")
        text, pictures = card_of(found, to, tmp_path)
        lines = lines_in(text)
        assert "dlcore" not in lines
        assert len(lines.splitlines()) <= 5
        monkeypatch.chdir(tmp_path)
        names: dict[str, Any] = {}
        exec(lines, names)
        if format_of(to).architecture:
            outputs = names["outputs"]
            assert tuple((outputs[0] if to == "onnx" else outputs).shape) == (1, 3)
        else:
            assert names["weights"].keys() == found.task.model.state_dict().keys()
            assert "(16, 4)" in capsys.readouterr().out
        for picture in pictures:
            assert f"]({picture.name})" in text
            assert picture.read_text().startswith("<svg")

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["pictures", "texts", "noise", "series", "states"])
    def test_its_lines_need_no_dltui(
        self, kind: str, trained_once: TrainedOnce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        found = trained.load(trained_once(of_kind(kind, tmp_path)), device="cpu")
        script = "import sys\nsys.modules['dlcore'] = sys.modules['tui'] = None\n"
        for to in FORMATS.names():
            script += lines_in(card_of(found, to, tmp_path)[0])
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def test_it_tells_data_metrics_size_and_hash(self, trained_once: TrainedOnce, tmp_path: Path) -> None:
        import hashlib

        found = trained.load(trained_once(IRIS), device="cpu")
        checked = export(found, "safetensors", tmp_path / "a.safetensors", Options())
        text = write_card(found, checked, "safetensors")[0].read_text()
        assert hashlib.sha256(checked.path.read_bytes()).hexdigest() in text
        for told in (
            "setosa, versicolor, virginica",
            "test/accuracy",
            f"{checked.bytes:,} bytes",
            '"standardise"',
        ):
            assert told in text


def test_the_comparison_sees_a_difference_anywhere(trained_once: TrainedOnce, tmp_path: Path) -> None:
    subject, _ = describe(trained.load(trained_once(IRIS), device="cpu"))
    SafeTensors().write(subject, tmp_path / "a", Options())
    last = list(subject.network.parameters())[-1]
    with torch.no_grad():
        last[-1] += 0.5
    difference, _ = compare(subject, "safetensors", tmp_path / "a", DYNAMIC)
    assert difference == pytest.approx(0.5, rel=1e-3)
