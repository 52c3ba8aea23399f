"""The short way to the fused kernel gives torch's own weights, bit for bit, and gives way whenever it should."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlcore.training import quick_steps

PAIRS = {
    "adam": (quick_steps.Adam, torch.optim.Adam),
    "adamw": (quick_steps.AdamW, torch.optim.AdamW),
    "sgd": (quick_steps.SGD, torch.optim.SGD),
}
CASES = [
    *((name, options) for name in ("adam", "adamw") for options in ({}, {"amsgrad": True})),
    *(("sgd", options) for options in ({}, {"momentum": 0.0}, {"nesterov": True}, {"dampening": 0.3})),
    *((name, options) for name in PAIRS for options in ({"maximize": True}, {"fused": False})),
]
Kind = type[torch.optim.Optimizer]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))


def optimizer_of(kind: Kind, model: nn.Module, **options: Any) -> Any:
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    exempt = [weight for weight in model.parameters() if weight.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": exempt, "weight_decay": 0.0}]
    usual = {"momentum": 0.9} if issubclass(kind, torch.optim.SGD) else {"betas": (0.8, 0.95)}
    return kind(groups, **usual | {"lr": 0.01, "fused": True} | options)


def learn(
    model: nn.Module, optimizer: Any, steps: int = 5, before: Callable[[int], None] = lambda step: None
) -> list[Tensor]:
    inputs = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    for step in range(steps):
        before(step)
        optimizer.zero_grad()
        model(inputs * (step + 1)).square().mean().backward()
        optimizer.step()
    return [weight.detach().clone() for weight in model.parameters()]


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_the_weights_are_torchs(name: str, options: dict[str, Any]) -> None:
    quick, usual = network(), network()
    ours, theirs = PAIRS[name]

    assert same(
        learn(quick, optimizer_of(ours, quick, **options)),
        learn(usual, optimizer_of(theirs, usual, **options)),
    )


@pytest.mark.parametrize("name", PAIRS)
def test_the_short_way_is_taken_from_the_second_step_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    kind, _ = PAIRS[name]
    real = kind.usual
    monkeypatch.setattr(kind, "usual", staticmethod(lambda *args: (calls.append(1), real(*args))[1]))
    model = network()
    optimizer = optimizer_of(kind, model)
    learn(model, optimizer, 5)
    assert len(calls) == 1

    optimizer.quick = False
    learn(model, optimizer, 5)
    assert len(calls) == 6


def test_the_rate_of_now_counts() -> None:
    quick, usual = network(), network()
    optimizers = [optimizer_of(quick_steps.AdamW, quick), optimizer_of(torch.optim.AdamW, usual)]

    def change(step: int) -> None:
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = 0.01 / (step + 1)

    assert same(learn(quick, optimizers[0], before=change), learn(usual, optimizers[1], before=change))


@pytest.mark.parametrize("name", PAIRS)
def test_a_weight_without_a_gradient_stays(name: str) -> None:
    trained = []
    for kind in PAIRS[name]:
        model = network()

        def freeze(step: int, model: nn.Module = model) -> None:
            model[0].weight.requires_grad_(step % 2 == 0)

        trained.append(learn(model, optimizer_of(kind, model), 6, before=freeze))
    assert same(*trained)


@pytest.mark.parametrize("name", PAIRS)
def test_a_loaded_state_goes_on(name: str) -> None:
    first, whole = network(), network()
    ours, theirs = PAIRS[name]
    optimizer = optimizer_of(ours, first)
    learn(first, optimizer, 3)
    saved = copy.deepcopy(optimizer.state_dict())
    learn(first, optimizer, 2)  # what follows the checkpoint is lost

    again = optimizer_of(theirs, whole)
    learn(whole, again, 3)
    first.load_state_dict(whole.state_dict())
    optimizer.load_state_dict(saved)

    assert same(learn(first, optimizer), learn(whole, again))


def test_a_group_that_is_added_learns() -> None:
    quick, usual = network(), network()
    trained = []
    for kind, model in ((quick_steps.AdamW, quick), (torch.optim.AdamW, usual)):
        optimizer = kind(model[0].parameters(), fused=True)
        learn(model, optimizer, 2)
        optimizer.add_param_group({"params": list(model[2].parameters())})
        trained.append(learn(model, optimizer, 3))
    assert same(*trained)


def test_hooks_are_called_once_a_step() -> None:
    model, seen = network(), []
    optimizer = optimizer_of(quick_steps.AdamW, model)
    learn(model, optimizer, 2)
    before = optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    after = optimizer.register_step_post_hook(lambda *_: seen.append("after"))

    learn(model, optimizer, 1)
    before.remove(), after.remove()
    learn(model, optimizer, 1)

    assert seen == ["before", "after"]


def test_what_is_not_dense_is_refused_as_torch_refuses_it() -> None:
    table = nn.Embedding(4, 3, sparse=True)
    optimizer = quick_steps.Adam(table.parameters(), fused=True)
    table(torch.tensor([1])).sum().backward()

    with pytest.raises(RuntimeError, match="sparse"):
        optimizer.step()


def test_a_closure_is_called() -> None:
    model = network()
    optimizer = optimizer_of(quick_steps.Adam, model)
    learn(model, optimizer, 2)

    assert optimizer.step(lambda: 3.0) == 3.0


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_first_step_that_is_skipped_leaves_nothing_behind(momentum: float) -> None:
    """Memory that nobody has written is full of numbers here, as it is on a GPU that has been working."""
    skipped, whole = network(), network()
    optimizer = optimizer_of(quick_steps.SGD, skipped, momentum=momentum)
    optimizer.found_inf = torch.ones(())
    torch.use_deterministic_algorithms(True)  # fills what `empty` gives with NaN
    try:
        learn(skipped, optimizer, 1)
        del optimizer.found_inf
        learned = learn(skipped, optimizer)
    finally:
        torch.use_deterministic_algorithms(False)
    assert same(learned, learn(whole, optimizer_of(torch.optim.SGD, whole, momentum=momentum)))
