"""The tracer against real forward passes, formulas, and promises: no memory, no change to the model."""

from __future__ import annotations

import json
from typing import Any

import psutil
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.inspection.meta_building import build_on_meta
from dlcore.inspection.shapes import Options, Row, Trace, trace, trace_builder
from dlcore.registry import MODELS

MNIST = DataSpec("image", (1, 28, 28), "class", 10)
TOKENS = DataSpec("tokens", (9,), "class", 3, "int64", vocabulary=tuple("_abcdefgh"), pad_id=0)
SPECS = {"vector": DataSpec("vector", (10,), "class", 1), "image": DataSpec("image", (1, 12, 8), "class", 1)}
SPECS |= {"sequence": DataSpec("sequence", (7, 5), "class", 1), "tokens": TOKENS}
CASES = [
    pytest.param(entry.name, SPECS[kind], id=f"{entry.name}-{kind}")
    for entry in MODELS.entries()
    for kind in entry.inputs
]


def row(result: Trace, path: str) -> Row:
    (found,) = [row for row in result.rows if row.path == path]
    return found


def real_batch(spec: DataSpec, batch_size: int) -> Tensor:
    if spec.input == "tokens":
        return torch.randint(1, len(spec.vocabulary), (batch_size, *spec.input_shape))
    return torch.randn(batch_size, *spec.input_shape)


def real_outputs(model: nn.Module, inputs: Tensor) -> dict[str, list[tuple[int, ...]]]:
    """Output shapes of every layer in a real forward pass, call by call."""
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for path, module in model.named_modules():

        def keep(module: nn.Module, inputs: Any, output: Any, path: str = path) -> None:
            first = output[0] if isinstance(output, tuple) else output
            shapes.setdefault(path, []).append(tuple(first.shape))

        module.register_forward_hook(keep)
    model(inputs)
    return shapes


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_rows_agree_with_a_real_forward_pass(name: str, spec: DataSpec) -> None:
    model = MODELS.build(name, spec)
    result = trace(model, spec, batch_size=3)
    assert result.failure is None
    expected = real_outputs(model, real_batch(spec, 3))
    assert result.outputs[0].shape == expected[""][0]
    for row in result.rows:
        assert row.outputs[0].shape == expected[row.path].pop(0), row.path
    assert {row.path for row in result.rows} >= {
        path for path, module in model.named_modules() if not any(module.children()) and path in expected
    } - {path for path, module in model.named_modules() if isinstance(module, nn.Identity)}


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_parameters_add_up_to_the_models(name: str, spec: DataSpec) -> None:
    model = MODELS.build(name, spec)
    result = trace(model, spec)
    assert sum(row.parameters for row in result.rows) == result.parameters
    assert result.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert result.unused == ()


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_saved_activations_are_those_of_a_real_forward_pass(name: str, spec: DataSpec) -> None:
    model, inputs = MODELS.build(name, spec), real_batch(spec, 3)
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        model = model.double()  # the CPU has no fused LSTM for it
        inputs = inputs.double() if inputs.is_floating_point() else inputs
    result = trace(model, inputs, options=Options(operations=True))
    saved: dict[int, Any] = {p.untyped_storage()._cdata: p.untyped_storage() for p in model.parameters()}
    saved |= {b.untyped_storage()._cdata: b.untyped_storage() for b in model.buffers()}
    own = sum(storage.nbytes() for storage in saved.values())

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(inputs)
    expected = sum(storage.nbytes() for storage in saved.values()) - own
    fused = any(operation.name == "scaled_dot_product_attention" for operation in result.operations)
    assert result.activation_bytes == pytest.approx(
        expected, rel=0.02 if fused else 0
    )  # each device has its own


def test_flops_of_convolution_and_linear_are_the_formulas() -> None:
    result = trace(MODELS.build("cnn", MNIST), MNIST, batch_size=8)
    # 2 for each multiply-add: batch × output pixels × filters × kernel numbers
    assert row(result, "blocks.0.conv").flops == 2 * 8 * 28 * 28 * 32 * 9
    assert row(result, "blocks.1.conv").flops == 2 * 8 * 14 * 14 * 64 * (32 * 9)
    assert row(result, "head.hidden1.linear").flops == 2 * 8 * 3136 * 128
    assert result.flops == sum(row.flops for row in result.rows)


def test_flops_of_an_lstm_are_the_formula_for_every_step() -> None:
    model = nn.LSTM(5, 7, num_layers=2, bidirectional=True, batch_first=True)
    result = trace(model, (4, 11, 5))
    gates = 4 * 7
    assert result.flops == 2 * 4 * 11 * 2 * gates * ((5 + 7) + (2 * 7 + 7))


@pytest.mark.parametrize("batch_first", [True, False])
def test_two_recurrent_steps_stand_for_all_of_them(batch_first: bool) -> None:
    model = nn.GRU(5, 7, num_layers=2, batch_first=batch_first)
    for steps in (1, 2, 3, 12):
        result = trace(model, (4, steps, 5) if batch_first else (steps, 4, 5))
        assert result.outputs[0].shape == ((4, steps, 7) if batch_first else (steps, 4, 7))
        assert result.outputs[1].shape == (2, 4, 7)
        assert result.flops == 2 * steps * 4 * 3 * 7 * ((5 + 7) + (7 + 7))


def test_flops_of_attention_are_counted_inside_the_layer() -> None:
    result = trace(nn.MultiheadAttention(8, 2, batch_first=True), [torch.zeros(3, 5, 8)] * 3)
    projections, scores = 4 * (3 * 5 * 8 * 8), 2 * (3 * 5 * 5 * 8)
    assert result.rows[0].type == "MultiheadAttention"
    assert result.flops == 2 * (projections + scores)


def test_ten_billion_parameters_trace_without_memory() -> None:
    before = psutil.Process().memory_info().rss
    result = trace_builder(lambda: MODELS.build("mlp", MNIST, widths=[50_000] * 5), MNIST, batch_size=65_536)
    assert result.failure is None
    assert result.parameters > 10_000_000_000
    assert result.parameter_bytes == 4 * result.parameters
    assert psutil.Process().memory_info().rss - before < 300_000_000  # the weights alone would be 40 GB


def test_tracing_changes_nothing_about_the_model() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).eval()
    model[2].train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    random_state = torch.random.get_rng_state()
    trace(model, (8, 4))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == [False, False, False, True]
    assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()] == hooks
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert all(parameter.grad is None for parameter in model.parameters())


class Net(nn.Module):
    """One with everything that makes a table hard."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.mix = nn.Linear(8, 8)
        self.start = nn.Parameter(torch.zeros(1, 1, 8))
        self.act = nn.ReLU()
        self.skip = nn.Identity()
        self.out = nn.Linear(8, 20, bias=False)
        self.out.weight = self.embed.weight  # tied
        self.forgotten = nn.Linear(3, 3)
        self.scale = torch.full((8,), 0.5)  # neither parameter nor buffer

    def forward(self, ids: Tensor, *, extra: Tensor | None = None) -> dict[str, Tensor]:
        steps = torch.cat([self.start.expand(len(ids), -1, -1), self.embed(ids)], dim=1)
        steps = self.act(self.mix(steps)) * self.scale
        steps = self.act(self.mix(self.skip(steps)))
        if extra is not None:
            steps = steps + extra
        return {"logits": self.out(steps) @ torch.eye(20), "steps": steps}


def test_reuse_tying_own_parameters_and_unused_ones() -> None:
    result = trace(Net(), torch.zeros(4, 6, dtype=torch.int64))
    assert result.failure is None
    assert [(r.path, r.reused) for r in result.rows if r.path in {"mix", "act"}] == [
        ("mix", False),
        ("act", False),
        ("mix", True),
        ("act", True),
    ]
    first, again = (r for r in result.rows if r.path == "mix")
    assert (first.parameters, first.shared) == (72, 0)
    assert (again.parameters, again.shared) == (0, 72)
    assert (row(result, "out").parameters, row(result, "out").shared) == (0, 160)
    own = row(result, "")
    assert (own.leaf, own.parameters, own.flops) == (False, 8, 2 * 4 * 7 * 20 * 20)
    assert "skip" not in {r.path for r in result.rows}
    assert result.unused == ("forgotten.weight", "forgotten.bias")
    assert result.parameters == 160 + 72 + 8 + 12
    assert [info.shape for info in result.outputs] == [(4, 7, 20), (4, 7, 8)]


def test_keyword_and_several_inputs() -> None:
    inputs = {"ids": torch.zeros(4, 6, dtype=torch.int64), "extra": torch.zeros(4, 7, 8)}
    result = trace(Net(), inputs)
    assert result.failure is None
    assert [(info.shape, info.dtype) for info in result.inputs] == [((4, 6), "int64"), ((4, 7, 8), "float32")]


def test_frozen_weights_are_not_trainable_and_keep_no_inputs() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    free = trace(model, (8, 4))
    model[0].requires_grad_(False)
    frozen = trace(model, (8, 4))
    assert (frozen.parameters, frozen.trainable_parameters) == (37, 12)
    assert frozen.trainable_bytes == 48
    assert frozen.activation_bytes < free.activation_bytes


def test_evaluation_keeps_nothing_for_backward() -> None:
    result = trace(MODELS.build("cnn", MNIST), MNIST, training=False)
    assert result.activation_bytes == 0
    assert result.flops > 0


class ReadsValues(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.linear(inputs)
        return hidden * 2 if hidden.sum() > 0 else hidden


@pytest.mark.parametrize("meta", [False, True])
def test_a_forward_pass_that_reads_numbers_runs_on_real_ones(meta: bool) -> None:
    result = trace_builder(ReadsValues, (8, 4)) if meta else trace(ReadsValues(), (8, 4))
    assert (result.failure, result.mode) == (None, "real")
    assert result.outputs[0].shape == (8, 2)
    assert result.flops == 2 * 8 * 4 * 2


def test_without_real_weights_reading_numbers_is_said() -> None:
    result = trace(build_on_meta(ReadsValues), (8, 4))
    assert result.failure is not None
    assert result.failure.kind == "values"
    assert "reads numbers" in result.failure.message
    assert result.failure.line is not None
    assert result.failure.line.code == "return hidden * 2 if hidden.sum() > 0 else hidden"


class ReadsOwnWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.norm = self.linear.weight.norm().item()


def test_a_constructor_that_reads_its_weights_builds_for_real() -> None:
    assert not build_on_meta(ReadsOwnWeights).linear.weight.is_meta


def test_lazy_layers_get_their_sizes_and_the_model_stays_lazy() -> None:
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(5), nn.ReLU())
    result = trace(model, (3, 2, 4))
    assert [r.type for r in result.rows] == ["Flatten", "Linear", "ReLU"]
    assert result.parameters == 8 * 5 + 5
    assert isinstance(model[1], nn.LazyLinear)


def test_constants_made_in_the_forward_pass_do_not_disturb() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, inputs: Tensor) -> Tensor:
            mask = torch.ones(4, 4).tril()
            start = torch.zeros(len(inputs), 4)
            return F.softmax(self.linear(inputs) @ mask + start, dim=-1)

    assert trace(Masked(), (3, 4)).failure is None


def test_a_trace_is_json() -> None:
    result = trace(MODELS.build("lstm", TOKENS, bidirectional=True), TOKENS)
    data = json.loads(json.dumps(result.to_dict()))
    assert data["rows"][1]["path"] == "embedding"
    assert data["rows"][1]["outputs"] == [{"shape": [32, 9, 64], "dtype": "float32"}]
    assert data["failure"] is None


@pytest.mark.parametrize("training", [True, False])
def test_torchs_transformer_traces(training: bool) -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    result = trace(model, (3, 4, 16), training=training)
    assert result.failure is None
    assert sum(row.parameters for row in result.rows) == sum(p.numel() for p in model.parameters())
