"""What every registered model must keep, for every kind of input and target that its entry declares.

A new architecture is tested by being registered.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.registry import MODELS

SHAPES: dict[str, tuple[int, ...]] = {
    "vector": (10,),
    "image": (3, 8, 12),
    "sequence": (7, 5),
    "tokens": (9,),
}
OUTPUTS = {"class": 3, "binary": 1, "number": 1}
BATCH = 4


def make_spec(kind: str, target: str) -> DataSpec:
    tokens: dict[str, Any] = {"input_dtype": "int64", "vocabulary": tuple("_abcdefghij"), "pad_id": 0}
    return DataSpec(kind, SHAPES[kind], target, OUTPUTS[target], **(tokens if kind == "tokens" else {}))  # type: ignore[arg-type]


def make_batch(spec: DataSpec) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    if spec.input != "tokens":
        return torch.randn(BATCH, *spec.input_shape, generator=generator)
    ids = torch.randint(1, len(spec.vocabulary), (BATCH, *spec.input_shape), generator=generator)
    ids[1, 5:] = spec.pad_id or 0  # one short sequence
    return ids


def build(name: str, spec: DataSpec, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return MODELS.build(name, spec)


CASES = [
    pytest.param(entry.name, make_spec(kind, target), id=f"{entry.name}-{kind}-{target}")
    for entry in MODELS.entries()
    for kind in entry.inputs or SHAPES
    for target in entry.targets or OUTPUTS
]
every_case = pytest.mark.parametrize(("name", "spec"), CASES)


def test_there_are_models() -> None:
    assert {"cnn", "gru", "linear", "lstm", "mlp", "perceptron", "resnet", "rnn"} <= set(MODELS.names())


@every_case
def test_output_has_num_outputs_a_sample(name: str, spec: DataSpec) -> None:
    outputs = build(name, spec)(make_batch(spec))
    assert outputs.shape == (BATCH, spec.num_outputs)
    assert outputs.dtype == torch.float32
    assert outputs.isfinite().all()


@every_case
def test_every_parameter_gets_a_finite_gradient(name: str, spec: DataSpec) -> None:
    model = build(name, spec).train()
    outputs = model(make_batch(spec))
    (outputs * torch.randn(outputs.shape)).sum().backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.any(), path


@every_case
def test_saved_weights_give_equal_outputs_in_a_fresh_model(name: str, spec: DataSpec, tmp_path: Path) -> None:
    model, batch = build(name, spec), make_batch(spec)
    model.train()(batch)  # moves running averages away from their start
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    fresh = build(name, spec, seed=1)
    assert not torch.equal(fresh.eval()(batch), model.eval()(batch))
    fresh.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert torch.equal(fresh.eval()(batch), model.eval()(batch))


@every_case
def test_samples_of_a_batch_do_not_mix_in_evaluation(name: str, spec: DataSpec) -> None:
    model, batch = build(name, spec).eval(), make_batch(spec)
    changed = batch.clone()
    changed[0] = changed[0].flip(-1) if spec.input == "tokens" else -changed[0]
    before, after = model(batch), model(changed)
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
