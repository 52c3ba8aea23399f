"""A compiled network gives what the network gives, and one that cannot be compiled trains all the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._dynamo.exc import TorchDynamoException

from dlcore.training.compiling import Compiled, compile_network, why_not_compiled
from tests.core.training.small import events, make_model, make_trainer


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, about its own modules
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="there is no C++ compiler")
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_a_compiled_network_answers_alike(mode: str) -> None:
    torch.manual_seed(0)
    model, inputs = make_model().eval(), torch.randn(8, 6)
    before = model(inputs)
    compile_network(model, mode)
    torch.testing.assert_close(model(inputs), before)
    assert why_not_compiled(model) == ""


def test_what_cannot_be_compiled_trains_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = make_trainer(tmp_path, name="usual")
    usual.fit()

    def refuses(network: object, mode: str) -> object:
        def call(*args: object, **kwargs: object) -> object:
            raise TorchDynamoException("no rule for this\nand a page of advice")

        return call

    monkeypatch.setattr("dlcore.training.compiling.torch.compile", refuses)
    torch.manual_seed(0)
    trainer = make_trainer(tmp_path)
    compile_network(trainer.task.model, "default")
    assert isinstance(trainer.task.model._compiled_call_impl, Compiled)
    torch.manual_seed(0)
    trainer.fit()

    messages = [event["message"] for event in events(trainer, "warning")]
    assert messages == [
        "The network is not compiled, it trains as it is: TorchDynamoException: no rule for this."
    ]
    assert trainer.progress.step == usual.progress.step


def test_nothing_is_said_of_a_network_that_is_not_to_be_compiled() -> None:
    assert why_not_compiled(nn.Linear(2, 2)) == ""
