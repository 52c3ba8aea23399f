"""A network whose answers do not fit its task is told so in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlcore import assembly
from dlcore.data.spec import Batch, DataSpec
from dlcore.errors import UserError
from dlcore.preset import load
from dlcore.registry import TASKS

FACTS = {"kind": "image", "scale": 1.0, "mean": [0.5], "std": [0.5]}
IMAGES = DataSpec("image", (1, 4, 4), "class", 3, preprocessing=FACTS)
TEXT = DataSpec("tokens", (5,), "tokens", 7, input_dtype="int64", vocabulary=tuple("abcdefg"))
SERIES = {"kind": "series", "mean": [0.0], "std": [1.0], "log": False, "season": 0, "horizon": 2}


class Answers(nn.Module):
    """Always answers the same, whatever it is shown."""

    mask_id = 7

    def __init__(self, answers: Any) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, inputs: Tensor, second: Tensor | None = None) -> Any:
        return self.answers


def batch_of(spec: DataSpec) -> Batch:
    targets = {
        "class": torch.tensor([0, 1]),
        "binary": torch.tensor([0, 1]),
        "number": torch.zeros(2, spec.num_outputs),
        "mask": torch.zeros(2, 4, 4, dtype=torch.int64),
        "tokens": torch.zeros(2, 5, dtype=torch.int64),
    }[spec.target]
    inputs = torch.zeros(2, *spec.input_shape, dtype=getattr(torch, spec.input_dtype))
    return Batch(inputs, targets, torch.arange(2))


CASES = [
    ("classification", IMAGES, torch.zeros(2, 5), "answers 2×5, but the task needs 2×3: a logit for each class"),
    ("classification", DataSpec("vector", (4,), "binary", 1), torch.zeros(2), "answers 2, but the task needs 2×1"),
    ("regression", DataSpec("vector", (4,), "number", 1), torch.zeros(2), "answers 2, but the task needs 2×1"),
    ("segmentation", DataSpec("image", (1, 4, 4), "mask", 3), torch.zeros(2, 3), "needs 2×3×4×4"),
    ("causal_lm", TEXT, torch.zeros(2, 7), "needs 2×5×7: at every position a logit for each token"),
    ("masked_lm", TEXT, torch.zeros(2, 5, 7), "needs 2×1×7: at every position asked about"),
    ("forecasting", DataSpec("sequence", (6, 1), "number", 2, preprocessing=SERIES), torch.zeros(2, 1), "needs 2×2"),
    ("autoencoding", IMAGES, torch.zeros(2, 16), "needs 2×1×4×4: images like its inputs"),
    ("diffusion", IMAGES, torch.zeros(2, 3), "needs 2×1×4×4: the noise"),
    ("vae", IMAGES, torch.zeros(2, 1, 4, 4), "answers (logits, mean, log_variance), which Answers does not; 'vae'"),
    ("vae", IMAGES, (torch.zeros(2, 16), torch.zeros(2, 2), torch.zeros(2, 2)), "needs 2×1×4×4"),
    ("classification", IMAGES, None, "answers nothing, but"),
    ("classification", IMAGES, (torch.zeros(2, 3),), "answers a tuple, but"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "spec", "answers", "said"), CASES)
def test_answers_of_another_shape(task: str, spec: DataSpec, answers: Any, said: str) -> None:
    built = TASKS.build(task, Answers(answers), spec)
    with pytest.raises(UserError) as error:
        built.loss(batch_of(spec), "main")
    (line,) = error.value.lines
    assert said in line


def test_a_network_that_cannot_be_told_the_step() -> None:
    with pytest.raises(
        UserError, match="noisy images and their steps, which Linear does not take; 'denoiser'"
    ):
        TASKS.build("diffusion", nn.Linear(1, 1), IMAGES)


@pytest.mark.parametrize(
    ("preset", "model", "said"),
    [
        ("docs-gpt", "lstm", "the data has 'tokens'; models that answer so: gpt"),
        ("digits-cnn", "unet", "answers targets of kind mask, but the data has 'class'; models that answer so: cnn"),
        ("digits-cnn", "perceptron", "one output, but the data asks for 10 classes"),
    ],
)  # fmt: skip
def test_a_model_for_other_targets_is_refused_with_those_that_fit(preset: str, model: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        assembly.build(load(preset, [f"model.name={model}"], builders=True), print)
    (line,) = error.value.lines
    assert said in line


@pytest.mark.parametrize(
    ("section", "code", "said"),
    [
        ("data", "def own(context): return 3", "gave 3, but it must give a Data"),
        ("data", "def own(): pass", "is called with a context before its options, which it does not take"),
        ("model", "def own(width=8): pass", "would land in its 'width': put 'spec, *,' before the options"),
        ("model", "def own(spec): pass", "gave nothing, but it must give a torch.nn.Module"),
        ("model", "def own(): pass", "is called with the data's spec before its options"),
    ],
)
def test_a_builder_of_ones_own_that_gives_something_else(
    section: str, code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(code)
    preset = load("iris-perceptron", [f"{section}.name=mine.py:own"], builders=True)
    with pytest.raises(UserError) as error:
        assembly.build(preset, print)
    (line,) = error.value.lines
    assert said in line
