"""The averaged weights follow the formula, and change nothing about the training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from dlcore.training.ema import EMA
from tests.core.training.small import assert_same, final_state, make_trainer, newest


def filled(module: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(value)


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_the_average_follows_its_formula(decay: float) -> None:
    module = nn.Linear(2, 2)
    filled(module, 0.0)
    ema = EMA(module, decay)
    expected = 0.0
    for update in range(1, 50):
        filled(module, float(update))
        ema.update()
        kept = min(decay, (1 + update) / (10 + update))
        expected = kept * expected + (1 - kept) * update
        assert ema.average["weight"].mean().item() == pytest.approx(expected, rel=1e-5)
    assert ema.updates == 49


def test_the_first_average_is_hardly_the_initialisation() -> None:
    module = nn.Linear(2, 2)
    filled(module, 0.0)
    ema = EMA(module, 0.9999)
    filled(module, 1.0)
    ema.update()
    assert ema.average["weight"].mean() > 0.8


def test_counters_are_taken_over_and_statistics_averaged() -> None:
    module = nn.BatchNorm1d(3)
    ema = EMA(module, 0.5)
    for _ in range(3):
        module(torch.randn(8, 3) + 5)
        ema.update()
    assert ema.average["num_batches_tracked"] == module.num_batches_tracked == 3
    assert (ema.average["running_mean"] > 0).all()
    assert (ema.average["running_mean"] < module.running_mean).all()  # type: ignore[operator]


def test_the_average_shares_nothing_with_the_weights() -> None:
    module = nn.Linear(2, 2)
    ema = EMA(module, 0.9)
    before = ema.average["weight"].clone()
    filled(module, 3.0)
    assert torch.equal(ema.average["weight"], before)


def test_it_is_applied_for_a_while_only_even_over_an_error() -> None:
    module = nn.Linear(2, 2)
    filled(module, 1.0)
    ema = EMA(module, 0.9)
    filled(module, 2.0)
    with pytest.raises(ValueError, match="inside"), ema.applied():
        assert (module.weight == 1).all()
        raise ValueError("inside")
    assert (module.weight == 2).all()
    assert (ema.average["weight"] == 1).all()


def test_it_goes_on_following_after_weights_were_loaded() -> None:
    module = nn.Linear(2, 2)
    ema = EMA(module, 0.5)
    module.load_state_dict({"weight": torch.full((2, 2), 4.0), "bias": torch.full((2,), 4.0)})
    ema.load({"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}, 1000)
    ema.update()
    assert (ema.average["weight"] == 2).all()
    assert ema.updates == 1001


def test_averaging_does_not_change_the_training(tmp_path: Path) -> None:
    with_average = make_trainer(tmp_path, ema=0.9)
    with_average.fit()
    without = make_trainer(tmp_path, name="without")
    without.fit()
    trained = {name: value for name, value in final_state(with_average).items() if name.startswith("model.")}
    assert_same(trained, final_state(without))


def test_both_kinds_of_weights_are_saved(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, ema=0.9)
    trainer.fit()
    saved = newest(trainer)
    state = final_state(trainer)
    assert_same({f"model.{n}": v for n, v in saved.weights(averaged=False).items()}
                | {f"ema.{n}": v for n, v in saved.weights().items()}, state)  # fmt: skip
    assert saved.trainer()["ema_updates"] == trainer.progress.step
