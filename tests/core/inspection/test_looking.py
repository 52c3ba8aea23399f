"""What a look says is what a direct computation says; and it leaves no trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.inspection.looking import Look, look_inside, undisturbed
from dlcore.inspection.tensors import BINS, piece, statistics
from dlcore.inspection.views import on_a_plane
from dlcore.models.attention import SelfAttention
from dlcore.tasks.classification import Classification

SPEC = DataSpec(input="vector", input_shape=(6,), target="class", num_outputs=3)
IMAGES = DataSpec(input="image", input_shape=(1, 8, 8), target="class", num_outputs=3)


def batch_for(spec: DataSpec, count: int = 10) -> Batch:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, *spec.input_shape, generator=generator)
    return Batch(inputs, torch.arange(count) % spec.num_outputs, torch.arange(count) + 100)


def look_at(model: nn.Module, spec: DataSpec = SPEC, **how: Any) -> Look:
    torch.manual_seed(0)
    return look_inside(Classification(model, spec), batch_for(spec), **how)


def row(look: Look, path: str) -> dict[str, Any]:
    (found,) = (each for each in look.facts["layers"] if each["path"] == path)
    return found


def mlp(activation: nn.Module) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 16), activation, nn.Dropout(0.5), nn.Linear(16, 3)).train()


def directly(model: nn.Sequential, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs of every layer, dropout off, and the gradients that reach them."""
    values, outputs = batch.inputs, []
    for layer in model:
        values = layer(values) if not isinstance(layer, nn.Dropout) else values * 1.0
        values.retain_grad()
        outputs.append(values)
    F.cross_entropy(values, batch.targets).backward()
    return outputs, [output.grad for output in outputs]  # type: ignore[misc]


@pytest.mark.parametrize("inplace", [False, True])
def test_statistics_agree_with_a_direct_computation(inplace: bool) -> None:
    outputs, gradients = directly(mlp(nn.ReLU()), batch_for(SPEC))
    look = look_at(mlp(nn.ReLU(inplace=inplace)))
    for at, path in enumerate("013"):
        output, gradient = outputs[int(path)], gradients[int(path)]
        for said, tensor in (
            (row(look, path)["activation"], output),
            (row(look, path)["gradient"], gradient),
        ):
            values = tensor.detach().numpy().astype(np.float64)
            assert said["mean"] == pytest.approx(values.mean(), abs=1e-6), (at, path)
            assert said["std"] == pytest.approx(values.std(), rel=1e-5, abs=1e-8)
            assert said["min"] == pytest.approx(values.min())
            assert said["max"] == pytest.approx(values.max())
            assert said["zeros"] == pytest.approx((values == 0).mean())
            assert said["nonfinite"] == 0
            assert sum(said["histogram"]) == values.size


def test_weights_and_their_gradients() -> None:
    model = mlp(nn.ReLU())
    directly(model, batch_for(SPEC))
    weight = model[0].weight
    said = row(look_at(mlp(nn.ReLU()), updates={"0.weight": 0.25}), "0")["parameters"]["weight"]
    assert said["weight"]["norm"] == pytest.approx(float(weight.detach().norm()))
    assert said["gradient"]["norm"] == pytest.approx(float(weight.grad.norm()), rel=1e-5)  # type: ignore[union-attr]
    assert said["update"] == 0.25


def test_the_histogram_counts_each_bin() -> None:
    values = torch.cat([torch.zeros(5), torch.full((3,), 12.0), torch.full((2,), 24.0)])
    counts = statistics(values)["histogram"]
    assert (counts[0], counts[BINS // 2], counts[-1]) == (5, 3, 2)


def test_nonfinite_values_are_counted_and_left_out() -> None:
    said = statistics(torch.tensor([1.0, float("nan"), 3.0, float("inf"), 0.0]))
    assert (said["nonfinite"], said["max"], said["zeros"]) == (2, 3.0, pytest.approx(1 / 3))
    assert said["mean"] == pytest.approx(4 / 3)


@pytest.mark.parametrize("values", [torch.zeros(0), torch.full((4,), float("nan")), torch.full((3,), 3e38)])
def test_statistics_are_always_finite(values: Tensor) -> None:
    assert all(np.isfinite(np.asarray(said)).all() for said in statistics(values).values())


def test_silent_units_of_a_rectifier_are_counted() -> None:
    model = mlp(nn.ReLU())
    with torch.no_grad():
        model[0].bias[:4] = -100.0
        model[0].bias[4:] = 100.0
    assert row(look_at(model), "1")["activation"]["dead"] == pytest.approx(4 / 16)


def test_saturated_values_are_counted() -> None:
    model = mlp(nn.Sigmoid())
    with torch.no_grad():
        model[0].bias[:8] = 100.0
        model[0].weight[8:] = 0.0
        model[0].bias[8:] = 0.0
    assert row(look_at(model), "1")["activation"]["saturated"] == pytest.approx(0.5)


class ByHand(nn.Module):
    """Its activation is a function, not a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(F.relu(self.first(inputs)))


def test_an_activation_called_by_hand_is_heard() -> None:
    look = look_at(ByHand())
    assert [each["path"] for each in look.facts["layers"]] == ["first", "ByHand.relu()", "last"]
    assert row(look, "ByHand.relu()")["activation"]["zeros"] > 0.2


def test_a_layer_called_twice_has_two_rows_and_its_weights_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.head(self.layer(self.layer(inputs)))

    rows = [each for each in look_at(Twice()).facts["layers"] if each["path"] == "layer"]
    assert [each.get("call", 1) for each in rows] == [1, 2]
    assert [len(each["parameters"]) for each in rows] == [2, 0]


def test_pieces_are_whole_pictures_of_chosen_samples() -> None:
    look = look_at(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 3)), IMAGES)
    kept = look.arrays[row(look, "0")["tensors"]["activation"]]
    assert kept.shape == (4, 4, 6, 6)
    assert look.facts["shown"] == [100, 102, 105, 107]
    assert look.arrays["input"].shape == (4, 1, 8, 8)


def test_a_piece_keeps_to_its_size() -> None:
    tensor = torch.arange(4 * 8 * 5 * 5.0).view(4, 8, 5, 5)
    kept = piece(tensor, 120)
    assert kept.shape == (1, 4, 5, 5)
    np.testing.assert_array_equal(kept, tensor[:1, :4].numpy())


def test_first_filters_of_a_convolution_and_of_a_linear_layer() -> None:
    conv = look_at(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 3)), IMAGES)
    flat = look_at(nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 3)), IMAGES)
    assert conv.arrays["filters"].shape == (4, 1, 3, 3)
    assert flat.arrays["filters"].shape == (5, 1, 8, 8)


@pytest.mark.parametrize("fused", [True, False])
def test_attention_maps_are_rows_of_shares(fused: bool) -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = SelfAttention(8, 2, fused=fused)
            self.head = nn.Linear(8, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.head(self.attention(inputs[:, 0]).mean(1))

    look = look_at(Attends(), IMAGES)
    (view,) = look.facts["views"]["attention"]
    maps = look.arrays[view["array"]]
    assert (view["layer"], maps.shape) == ("attention", (4, 2, 8, 8))
    np.testing.assert_allclose(maps.sum(-1), 1.0, rtol=1e-5)


def test_attention_maps_of_torch_s_own_layer() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixer = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            steps = inputs[:, 0]
            return self.head(self.mixer(steps, steps, steps, need_weights=False)[0].mean(1))

    maps = look_at(Attends(), IMAGES).arrays["attention.0"]
    np.testing.assert_allclose(maps.sum(-1), np.ones((4, 2, 8)), rtol=1e-5)


def test_points_on_a_plane_keep_the_distances_that_fit_in_it() -> None:
    flat = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    turned = flat @ torch.linalg.qr(torch.randn(7, 2, generator=torch.Generator().manual_seed(1)))[0].T
    points, share = on_a_plane(turned)
    assert share == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(torch.pdist(torch.from_numpy(points)), torch.pdist(flat), rtol=1e-4)


def test_nothing_is_left_behind() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    model[3].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    look_inside(Classification(model, SPEC), batch_for(SPEC))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model] == [True, True, True, False]
    assert all(parameter.grad is None for parameter in model.parameters())


class Counting(nn.Module):
    """Counts its own calls, as a user's module may."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(6, 3)
        self.calls = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.net(inputs)


def test_a_look_is_no_call_that_a_module_counts() -> None:
    model = Counting()
    with undisturbed(model, torch.device("cpu")):
        model(torch.ones(2, 6))
    assert model.calls == 0
