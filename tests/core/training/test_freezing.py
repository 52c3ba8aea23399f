"""Frozen layers do not change at all while they are frozen; rates are shares of the optimizer's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlcore import preset as presets
from dlcore.errors import UserError
from dlcore.opening import load_and_build
from dlcore.training import optimizers
from dlcore.training.freezing import Freezing, and_settled, apply_rates, rates_of
from dlcore.training.progress import restore
from tests.core.training.small import final_state, make_model, make_trainer, newest
from tests.core.training.test_resume import assert_same, resumed, uninterrupted

BODY = ["0", "1"]  # the linear layer and the batch norm of `make_model`


def state(model: nn.Module, *layers: str) -> dict[str, Tensor]:
    return {n: t.clone() for n, t in model.state_dict().items() if n.partition(".")[0] in layers}


def frozen_trainer(runs: Path, epochs_frozen: int = 0, **options: Any) -> Any:
    model = make_model()
    return make_trainer(runs, model=model, freezing=Freezing(model, BODY, epochs_frozen), **options)


def test_frozen_layers_keep_every_number_and_the_others_learn(tmp_path: Path) -> None:
    trainer = frozen_trainer(tmp_path)
    before, head = state(trainer.task.model, *BODY), state(trainer.task.model, "4")
    assert trainer.fit().reason == "epochs"
    assert_same(before, state(trainer.task.model, *BODY))  # also the averages of batch norm, and its counter
    assert not torch.equal(head["4.weight"], trainer.task.model.state_dict()["4.weight"])


def test_they_learn_from_the_epoch_on_that_frees_them(tmp_path: Path) -> None:
    one = frozen_trainer(tmp_path, epochs_frozen=2, epochs=2)
    before = state(one.task.model, *BODY)
    one.fit()
    assert_same(before, state(one.task.model, *BODY))
    three = frozen_trainer(tmp_path, epochs_frozen=2, epochs=3, name="longer")
    before = state(three.task.model, *BODY)
    three.fit()
    after = state(three.task.model, *BODY)
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def assert_resumes(tmp_path: Path, options: Callable[[], dict[str, Any]], stop_after: int) -> None:
    """A training that is stopped and resumed ends with the bits of one that is not.

    Args:
        options: of `make_trainer`, anew at each call.
    """
    whole = uninterrupted(tmp_path, **options())
    first = make_trainer(tmp_path, stop_after=stop_after, **options())
    first.fit()
    second = make_trainer(tmp_path, **options())
    restore(second, newest(second))
    second.fit()
    assert_same(whole, final_state(second) | {"best": torch.tensor(second.progress.best["value"])})


@pytest.mark.parametrize("stop_after", [3, 5, 7, 12])
def test_a_resumed_run_freezes_and_frees_as_the_uninterrupted_one(tmp_path: Path, stop_after: int) -> None:
    def options() -> dict[str, Any]:
        torch.manual_seed(0)
        model = make_model()
        return {"model": model, "freezing": Freezing(model, BODY, 2)}

    assert_resumes(tmp_path, options, stop_after)


def test_without_freezing_nothing_is_there_to_cost(tmp_path: Path) -> None:
    assert make_trainer(tmp_path).freezing is None


def test_loaded_stands_for_what_was_loaded() -> None:
    model = make_model()
    freezing = Freezing(model, ["loaded"], 0, loaded=["0.weight", "0.bias"])
    assert freezing.parameters == [model[0].weight, model[0].bias]
    assert freezing.layers == [model[0]]


def test_a_partly_loaded_batch_norm_goes_on_counting() -> None:
    model = make_model()
    assert Freezing(model, ["1.weight"], 0).layers == []


def test_a_matrix_that_two_layers_share_is_frozen_by_either_name() -> None:
    model = nn.ModuleDict({"embedding": nn.Linear(3, 3), "head": nn.Linear(3, 3), "other": nn.Linear(3, 1)})
    model.head.weight = model.embedding.weight
    assert Freezing(model, ["head.weight"], 0).parameters == [model.embedding.weight]


@pytest.mark.parametrize(
    ("layers", "epochs", "said"),
    [
        (["heads"], 0, "no layer 'heads'; did you mean 'head'"),
        (["body", "head"], 0, "nothing to learn"),
        (["loaded"], 0, "model.weights names nothing"),
        ([], 3, "model.freeze names no layers"),
    ],
)
def test_what_cannot_be_frozen_is_one_sentence(layers: list[str], epochs: int, said: str) -> None:
    model = nn.ModuleDict({"body": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
    with pytest.raises(UserError, match=said) as error:
        Freezing(model, layers, epochs)
    assert len(error.value.lines) == 1


def test_the_longest_name_decides_the_rate() -> None:
    model = make_model()
    loaded = [name for name, _ in model.named_parameters()]
    rates = rates_of(model, {"loaded": 0.1, "4": 1.0, "4.bias": 2.0}, loaded)
    assert rates == {
        model[0].weight: 0.1, model[0].bias: 0.1, model[1].weight: 0.1, model[1].bias: 0.1, model[4].bias: 2.0,
    }  # fmt: skip


@pytest.mark.parametrize("build", [optimizers.sgd, optimizers.adamw, optimizers.muon])
def test_rates_split_groups_and_leave_the_rest_alone(build: Any) -> None:
    model = make_model()
    plain, split = build([model]), build([model])
    apply_rates(split, rates_of(model, {"0": 0.1}))

    def facts(optimizer: torch.optim.Optimizer) -> dict[int, tuple[float, float]]:
        return {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}

    before, after = facts(plain), facts(split)
    assert before.keys() == after.keys()
    for parameter in model.parameters():
        lr, decay = before[id(parameter)]
        share = 0.1 if parameter in set(model[0].parameters()) else 1
        assert after[id(parameter)] == pytest.approx((lr * share, decay))


def test_the_first_group_is_the_full_rate_which_is_shown() -> None:
    model = make_model()
    optimizer = optimizers.adamw([model], lr=0.01)
    apply_rates(optimizer, rates_of(model, {"0": 0.1}))
    assert optimizer.param_groups[0]["lr"] == 0.01


def test_a_tenth_of_the_rate_moves_a_tenth_as_far() -> None:
    first, second = nn.Linear(2, 1), nn.Linear(2, 1)
    second.load_state_dict(first.state_dict())
    for model, rates in ((first, {}), (second, {"weight": 0.1})):
        optimizer = optimizers.sgd([model], lr=0.5)
        apply_rates(optimizer, rates_of(model, rates))
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    start = first.weight.detach() + 0.5  # the gradient is 1
    torch.testing.assert_close(start - second.weight, torch.full((1, 2), 0.05))


def test_rates_resume_bit_for_bit(tmp_path: Path) -> None:
    def build(modules: Any) -> torch.optim.Optimizer:
        optimizer = optimizers.adamw(modules)
        apply_rates(optimizer, rates_of(modules[0], {"0": 0.1, "1": 0.3}))
        return optimizer

    whole = uninterrupted(tmp_path, optimizer=build)
    assert_same(whole, resumed(tmp_path, 7, optimizer=build))


# What an optimizer lets settle

SETTLE = {"0.bias": 7}  # in the middle of the second epoch of five steps


def settling(modules: Any) -> torch.optim.Optimizer:
    return optimizers.muon(modules, rest="sgd", settle=SETTLE)


def settling_model(freezing: Freezing | None = None) -> tuple[nn.Module, Freezing]:
    torch.manual_seed(0)
    model = make_model()
    found = and_settled(freezing, model, {"main": settling([model])}, steps_per_epoch=5)
    assert found is not None
    return model, found


def test_a_parameter_is_frozen_from_the_first_epoch_in_which_its_rate_is_nothing() -> None:
    model, freezing = settling_model()
    learns = []
    for epoch in range(4):
        freezing.start_epoch(epoch)
        learns.append(model[0].bias.requires_grad)  # type: ignore[index]
        assert sum(not p.requires_grad for p in model.parameters()) == (not learns[-1])
    assert learns == [True, True, False, False]


def test_freezing_what_has_settled_changes_no_number(tmp_path: Path) -> None:
    model, freezing = settling_model()
    frozen = make_trainer(tmp_path, name="frozen", model=model, freezing=freezing, optimizer=settling)
    frozen.fit()
    torch.manual_seed(0)
    free = make_trainer(tmp_path, name="free", model=make_model(), optimizer=settling)
    free.fit()
    assert frozen.task.model[0].bias.grad is None  # type: ignore[index]
    assert free.task.model[0].bias.grad is not None  # type: ignore[index]
    assert_same(final_state(frozen), final_state(free))


@pytest.mark.parametrize("stop_after", [3, 8, 11])
def test_what_settles_resumes_bit_for_bit(tmp_path: Path, stop_after: int) -> None:
    def options() -> dict[str, Any]:
        model, freezing = settling_model()
        return {"model": model, "freezing": freezing, "optimizer": settling}

    assert_resumes(tmp_path, options, stop_after)


@pytest.mark.parametrize("epochs_frozen", [0, 1, 2, 3])
def test_the_mark_turns_round_wherever_something_else_is_frozen(epochs_frozen: int) -> None:
    torch.manual_seed(0)
    model = make_model()
    freezing = Freezing(model, ["1"], epochs_frozen)
    and_settled(freezing, model, {"main": settling([model])}, steps_per_epoch=5)

    def learning(epoch: int) -> list[bool]:
        freezing.start_epoch(epoch)
        return [parameter.requires_grad for parameter in model.parameters()]

    for epoch in range(1, 6):
        changed = learning(epoch) != learning(epoch - 1)
        assert (freezing.frozen(epoch) != freezing.frozen(epoch - 1)) == changed


def test_something_must_be_left_to_learn() -> None:
    model = make_model()
    optimizer = optimizers.muon([model], settle={"0": 3, "1": 3, "4": 3})
    with pytest.raises(UserError, match="leaves nothing to learn in the end"):
        and_settled(None, model, {"main": optimizer}, steps_per_epoch=5)


def test_a_preset_that_lets_a_layer_settle_freezes_it() -> None:
    sets = [
        "optimizer.name=muon",
        'optimizer.settle={ "head" = 30 }',
        "training.batch_size=100",
        "training.device=cpu",
    ]
    opened = load_and_build(presets.load("digits-cnn", sets, builders=True), lambda line: None)
    steps = -(-len(opened.parts.data.train) // 100)

    def freezing_alone(*parts: Any, freezing: Freezing, **rest: Any) -> Freezing:
        return freezing

    freezing: Any = opened.trainer(None, kind=freezing_alone)  # type: ignore[arg-type]
    head = dict(opened.parts.model.named_parameters())["head.output.bias"]
    for epoch in range(5):
        freezing.start_epoch(epoch)
        assert head.requires_grad == (epoch * steps < 30)
