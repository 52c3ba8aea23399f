"""Every optimizer learns, decays what it should, and goes on from its saved state."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlcore.errors import UserError
from dlcore.registry import OPTIMIZERS
from dlcore.training import muon, optimizers
from dlcore.training.muon import QUINTIC, orthogonalise

NAMES = OPTIMIZERS.names()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 2))


def loss_of(model: nn.Module) -> torch.Tensor:
    inputs = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
    return F.mse_loss(model(inputs), inputs[:, :2] * inputs[:, 2:])


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> float:
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()
    return loss_of(model).item()


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_learns_with_its_defaults(name: str) -> None:
    model = network()
    before = loss_of(model).item()
    after = trained(model, OPTIMIZERS.entry(name).build([model]), 300)
    assert after < 0.8 * before


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_goes_on_bitwise_from_its_saved_state(name: str, tmp_path: Path) -> None:
    build = OPTIMIZERS.entry(name).build
    whole, model = network(), network()
    trained(whole, build([whole]), 8)
    first = build([model])
    trained(model, first, 5)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = build([model])
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    trained(model, second, 3)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), model.parameters(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_in_exactly_one_group(name: str) -> None:
    model = nn.Sequential(
        nn.Embedding(9, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4), nn.Linear(4, 9)
    )
    model[4].weight = model[0].weight  # tied
    model[3].requires_grad_(False)  # frozen, perhaps not for ever
    optimizer = OPTIMIZERS.entry(name).build([model])
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted({id(p) for p in model.parameters()})


@pytest.mark.parametrize("name", NAMES)
def test_every_group_has_a_learning_rate_for_the_schedule(name: str) -> None:
    groups = OPTIMIZERS.entry(name).build([network()]).param_groups
    assert all(group["lr"] > 0 for group in groups)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "muon"])
def test_weight_decay_spares_biases_and_scales(name: str) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    OPTIMIZERS.entry(name).build([model], weight_decay=0.5).step()
    assert (model[0].weight < 1).all()
    spared = [model[0].bias, model[1].weight, model[1].bias]
    assert all((parameter == 1).all() for parameter in spared)


def test_without_momentum_there_is_no_look_ahead() -> None:
    assert optimizers.sgd([network()], nesterov=True).param_groups[0]["nesterov"] is False
    assert optimizers.sgd([network()], nesterov=True, momentum=0.9).param_groups[0]["nesterov"] is True


# Muon


@pytest.mark.parametrize("shape", [(8, 8), (4, 16), (16, 4)])
def test_orthogonalising_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    near = orthogonalise(matrix)
    assert near.shape == shape
    values = torch.linalg.svdvals(near)
    assert values.min() > 0.5
    assert values.max() < 1.3
    assert F.cosine_similarity(near.flatten(), (left @ right).flatten(), dim=0) > 0.95


def test_muon_turns_hidden_matrices_only() -> None:
    model = nn.Sequential(
        nn.Embedding(9, 4), nn.Conv1d(4, 6, 3), nn.LayerNorm(6), nn.Linear(6, 6), nn.Linear(6, 9)
    )
    groups = optimizers.muon([model]).param_groups
    hidden = {id(p) for group in groups if group["rule"] == "muon" for p in group["params"]}
    assert hidden == {id(model[1].weight), id(model[3].weight)}


def reference_direction(gradient: np.ndarray, iterations: int) -> np.ndarray:
    """The quintic applied to the singular values, which is what the iteration does."""
    left, values, right = np.linalg.svd(gradient, full_matrices=False)
    a, b, c = QUINTIC
    values = values / np.linalg.norm(values)
    for _ in range(iterations):
        values = a * values + b * values**3 + c * values**5
    return (left * values) @ right


def test_muon_beside_a_reference() -> None:
    """Filters, biases and head by the formulas of the source, in NumPy, for five steps with a falling rate."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(4, 3, bias=False))
    options = {"lr": 0.24, "momentum": 0.6, "iterations": 3, "fixed_norm": True, "rest": "sgd"}
    optimizer = optimizers.muon(
        [model], **options, sgd_lr=0.05, sgd_head_lr=0.7, sgd_momentum=0.85, sgd_decay=0.01
    )  # type: ignore[arg-type]
    weights = [p.detach().double().numpy().copy() for p in model.parameters()]  # filters, bias, head
    velocity = [np.zeros_like(each) for each in weights]
    for step in range(5):
        gradients = [np.random.default_rng((step, n)).normal(size=w.shape) for n, w in enumerate(weights)]
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.grad = torch.tensor(gradient, dtype=torch.float32)
        factor = 1 - step / 5
        for group, rate in zip(optimizer.param_groups, (0.24, 0.05, 0.7), strict=True):
            group["lr"] = rate * factor
        optimizer.step()
        for n, (rate, momentum) in enumerate([(0.24, 0.6), (0.05, 0.85), (0.7, 0.85)]):
            gradient = gradients[n] + (weights[n] * 0.01 / rate if n else 0)  # the decay, as an L2 penalty
            velocity[n] = momentum * velocity[n] + gradient
            ahead = gradient + momentum * velocity[n]
            if n == 0:
                weights[n] *= 4**0.5 / np.linalg.norm(weights[n])
                ahead = reference_direction(ahead.reshape(4, -1), 3).reshape(ahead.shape)
            weights[n] -= rate * factor * ahead
    for parameter, expected in zip(model.parameters(), weights, strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=2e-4, atol=2e-5)


def test_muons_rest_may_be_sgd_with_a_rate_for_the_head() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2))
    groups = optimizers.muon([model], rest="sgd", sgd_lr=0.1, sgd_head_lr=0.5).param_groups
    assert [(group["rule"], group["lr"], len(group["params"])) for group in groups] == [
        ("muon", 0.02, 1), ("sgd", 0.1, 2), ("sgd", 0.5, 1),
    ]  # fmt: skip


def test_a_stack_of_matrices_is_turned_as_each_of_them_alone() -> None:
    matrices = torch.randn(3, 12, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1e-6, 1.0, 1e6]
    ).view(3, 1, 1)
    together = orthogonalise(matrices, 3)
    torch.testing.assert_close(together, torch.stack([orthogonalise(each, 3) for each in matrices]))


def test_equal_shapes_are_turned_in_one_call_and_the_steps_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[torch.Size] = []

    def counted(matrices: torch.Tensor, *args: object) -> torch.Tensor:
        calls.append(matrices.shape)
        return orthogonalise(matrices, *args)  # type: ignore[arg-type]

    def model() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(*(nn.Linear(4, 4) for _ in range(4)), nn.Linear(4, 2))

    monkeypatch.setattr(muon, "orthogonalise", counted)
    one, each = model(), model()
    trained(one, optimizers.muon([one], weight_decay=0.1), 1)
    assert calls == [(4, 4, 4)]
    monkeypatch.setitem(muon.TOGETHER, "cpu", 1)
    trained(each, optimizers.muon([each], weight_decay=0.1), 1)
    assert calls[1:] == [(1, 4, 4)] * 4
    for mine, other in zip(one.parameters(), each.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_what_settles_has_a_course_of_its_own_and_stops() -> None:
    """Whatever the schedule does to the others: a quarter less with every step, then nothing."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    optimizer = optimizers.muon([model], rest="sgd", sgd_lr=0.5, sgd_momentum=0.0, settle={"0.bias": 4})
    settles = next(group for group in optimizer.param_groups if group["settle"])
    assert settles["params"] == [model[0].bias]
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    changes = []
    for step in range(6):
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * 0.1**step
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        before, other = model[0].bias.detach().clone(), model[1].bias.detach().clone()
        optimizer.step()
        changes.append((before - model[0].bias.detach())[0].item())
        torch.testing.assert_close(other - model[1].bias.detach(), torch.full((2,), 0.5 * 0.1**step))
    assert changes == pytest.approx([0.5, 0.375, 0.25, 0.125, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("rest", ["adam", "sgd"])
@pytest.mark.parametrize("layer", ["2", "2.weight", "2.bias", "4.weight"])
def test_any_layer_can_settle_under_any_rule(rest: Literal["adam", "sgd"], layer: str) -> None:
    model = network()
    optimizer = optimizers.muon([model], rest=rest, settle={layer: 3})
    trained(model, optimizer, 3)
    settled = {name: p.detach().clone() for name, p in model.named_parameters()}
    trained(model, optimizer, 2)
    kept = {name for name, p in model.named_parameters() if torch.equal(p, settled[name])}
    assert kept == {name for name in settled if name == layer or name.startswith(f"{layer}.")}


def test_a_layer_to_settle_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"no layer '0.bais'; did you mean '0.bias'\?") as error:
        optimizers.muon([network()], settle={"0.bais": 3})
    assert len(error.value.lines) == 1
