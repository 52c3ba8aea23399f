"""What every registered model must keep, for every kind of input and target that its entry declares.

A new architecture is tested by being registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.registry import MODELS, Entry

SHAPES: dict[str, tuple[int, ...]] = {
    "vector": (10,),
    "image": (3, 8, 12),
    "sequence": (7, 5),
    "tokens": (9,),
}
VOCABULARY = tuple("_abcdefghij")
OUTPUTS = {"class": 3, "binary": 1, "number": 1, "mask": 3, "tokens": len(VOCABULARY), "none": 0, "reward": 2}
COMMON = ("class", "binary", "number")
BATCH = 4


def make_spec(kind: str, target: str) -> DataSpec:
    tokens: dict[str, Any] = {"input_dtype": "int64", "vocabulary": VOCABULARY}
    if target != "tokens":  # running text is never short
        tokens["pad_id"] = 0
    return DataSpec(kind, SHAPES[kind], target, OUTPUTS[target], **(tokens if kind == "tokens" else {}))  # type: ignore[arg-type]


def targets_for(entry: Entry, kind: str) -> Sequence[str]:
    """Kinds of target that inputs of a kind can have, for a model that takes any."""
    if entry.group == "generative":
        return ("none",)
    return entry.targets or ((*COMMON, "tokens") if kind == "tokens" else COMMON)


def answers_of(model: nn.Module, batch: Tensor) -> Tensor:
    """A model's answers with the same random numbers every time; several tensors as (batch, numbers)."""
    torch.manual_seed(5)
    outputs = model(batch)
    if isinstance(outputs, Tensor):
        return outputs
    return torch.cat(
        [output.flatten(1) if output.dim() > 1 else output[:, None] for output in outputs], dim=1
    )


def output_shape(entry_name: str, spec: DataSpec) -> tuple[int, ...] | None:
    """One answer a sample, one a token where the answers are tokens, one a pixel where they are masks.

    None for several tensors, which the tests of their model know.
    """
    if spec.target in ("none", "reward"):
        return None
    if spec.target == "mask":
        return BATCH, spec.num_outputs, *spec.input_shape[1:]
    if spec.target == "tokens" or MODELS.entry(entry_name).tags.get("task") == "masked_lm":
        return BATCH, *spec.input_shape, len(spec.vocabulary)
    return BATCH, spec.num_outputs


def make_batch(spec: DataSpec) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    if spec.input != "tokens":
        return torch.randn(BATCH, *spec.input_shape, generator=generator)
    ids = torch.randint(1, len(spec.vocabulary), (BATCH, *spec.input_shape), generator=generator)
    ids[1, 5:] = spec.pad_id or 0  # one short sequence
    return ids


def hide_one(model: nn.Module, batch: Tensor) -> Tensor:
    """The batch with a hidden token, for a model that knows them."""
    mask_id = getattr(model, "mask_id", None)
    if mask_id is not None:
        batch[2, 3] = mask_id
    return batch


def build(name: str, spec: DataSpec, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return MODELS.build(name, spec)


CASES = [
    pytest.param(entry.name, make_spec(kind, target), id=f"{entry.name}-{kind}-{target}")
    for entry in MODELS.entries()
    for kind in entry.inputs or SHAPES
    for target in targets_for(entry, kind)
]
every_case = pytest.mark.parametrize(("name", "spec"), CASES)


def test_there_are_models() -> None:
    assert {"bert", "cnn", "gpt", "gru", "linear", "lstm", "mlp"} <= set(MODELS.names())
    assert {"perceptron", "resnet", "rnn", "transformer"} <= set(MODELS.names())


@every_case
def test_output_has_num_outputs_a_sample_or_token(name: str, spec: DataSpec) -> None:
    outputs = answers_of(build(name, spec), make_batch(spec))
    assert len(outputs) == BATCH
    assert outputs.shape == (output_shape(name, spec) or outputs.shape)
    assert outputs.dtype == torch.float32
    assert outputs.isfinite().all()


@every_case
def test_every_parameter_gets_a_finite_gradient(name: str, spec: DataSpec) -> None:
    model = build(name, spec).train()
    outputs = answers_of(model, hide_one(model, make_batch(spec)))
    (outputs * torch.randn(outputs.shape)).sum().backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.any(), path


@every_case
def test_saved_weights_give_equal_outputs_in_a_fresh_model(name: str, spec: DataSpec, tmp_path: Path) -> None:
    model, batch = build(name, spec), make_batch(spec)
    model.train()(hide_one(model, batch))  # moves running averages away from their start
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    fresh = build(name, spec, seed=1)
    assert not torch.equal(answers_of(fresh.eval(), batch), answers_of(model.eval(), batch))
    fresh.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(answers_of(fresh.eval(), batch), answers_of(model.eval(), batch))


@every_case
def test_samples_of_a_batch_do_not_mix_in_evaluation(name: str, spec: DataSpec) -> None:
    model, batch = build(name, spec).eval(), make_batch(spec)
    changed = batch.clone()
    changed[0] = changed[0].flip(-1) if spec.input == "tokens" else -changed[0]
    before, after = answers_of(model, batch), answers_of(model, changed)
    assert not torch.allclose(before[0], after[0])
    torch.testing.assert_close(before[1:], after[1:], rtol=1e-6, atol=1e-6)


@every_case
def test_the_seed_decides_the_weights(name: str, spec: DataSpec) -> None:
    first, again, other = build(name, spec), build(name, spec), build(name, spec, seed=1)
    for path, weight in first.state_dict().items():
        assert torch.equal(weight, again.state_dict()[path]), path
    assert any(
        not torch.equal(weight, other.state_dict()[path]) for path, weight in first.state_dict().items()
    )


@every_case
def test_blocks_are_modules_of_the_model(name: str, spec: DataSpec) -> None:
    model = build(name, spec)
    blocks = getattr(model, "blocks", nn.ModuleList())
    assert isinstance(blocks, nn.Sequential | nn.ModuleList)
    assert set(blocks) <= set(model.modules())


@pytest.mark.parametrize("entry", MODELS.entries(), ids=lambda entry: entry.name)
def test_every_option_is_explained(entry: Any) -> None:
    assert 20 < len(entry.summary) <= 110
    assert entry.summary.endswith(".")
    assert entry.group
    for field in entry.fields:
        assert field.help, field.name
        assert not field.required, f"{field.name}: a model builds from its defaults"


@pytest.mark.parametrize(("name", "spec"), [case for case in CASES if case.values[1].pad_id is not None])
def test_more_padding_changes_no_answer(name: str, spec: DataSpec) -> None:
    longer = replace(spec, input_shape=(spec.input_shape[0] + 4,))
    model, batch = build(name, longer).eval(), make_batch(spec)
    padded = torch.nn.functional.pad(batch, (0, 4), value=spec.pad_id)
    answers, longer_answers = model(batch), model(padded)
    if answers.dim() == 3:  # an answer a token: those of real tokens
        real = batch != spec.pad_id
        answers, longer_answers = answers[real], longer_answers[:, : batch.shape[1]][real]
    torch.testing.assert_close(answers, longer_answers, rtol=1e-5, atol=1e-5)
