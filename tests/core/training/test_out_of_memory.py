"""Where memory is short, batches go through in pieces: the same training, only slower."""

from __future__ import annotations

import math
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dlcore.data.batches import Batches
from dlcore.data.spec import TensorPart
from dlcore.tasks.classification import Classification
from dlcore.training.evaluation import evaluate
from dlcore.training.precision import Precision
from dlcore.training.progress import restore
from dlcore.training.trouble import is_out_of_memory
from tests.core.training.small import (
    SPEC,
    assert_close,
    events,
    final_state,
    make_part,
    make_trainer,
    newest,
    the_event,
)

FP32 = Precision("fp32", torch.device("cpu"))
CPU_TEXT = "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried …"


class Hungry(nn.Module):
    """Has memory for so many samples at once. No dropout, no batch norm: pieces give the same gradient."""

    def __init__(self, training: int = 99, evaluating: int = 99, backward: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
        self.limits, self.backward = {True: training, False: evaluating}, backward
        self.sizes: list[int] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(inputs))
        hidden = self.net(inputs)
        if len(inputs) <= self.limits[self.training]:
            return hidden
        if not self.backward:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        hidden.register_hook(_run_out)
        return hidden


def _run_out(gradient: torch.Tensor) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory in the backward pass.")


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7])
def test_pieces_train_the_same_network(tmp_path: Path, limit: int, backward: bool, accumulate: int) -> None:
    short = make_trainer(
        tmp_path, model=Hungry(limit, backward=backward), accumulate=accumulate, clip_norm=1.0
    )
    assert short.fit().reason == "epochs"
    roomy = make_trainer(tmp_path, name="roomy", model=Hungry(), accumulate=accumulate, clip_norm=1.0)
    roomy.fit()
    assert short.progress.step == roomy.progress.step
    assert_close(final_state(short), final_state(roomy))


def test_halving_goes_as_far_as_it_must_and_is_told(tmp_path: Path) -> None:
    model = Hungry(3)
    trainer = make_trainer(tmp_path, model=model)
    trainer.fit()
    told = [event["micro_batch"] for event in events(trainer, "oom")]
    assert told == [4, 2]
    assert len(told) <= math.log2(trainer.training.batch_size)
    assert model.sizes[:4] == [8, 4, 2, 2]  # and never tried large again
    assert max(size for size in model.sizes[3:] if size != 24) == 2
    assert "2 at a time" in events(trainer, "warning")[-1]["message"]


def test_the_recovery_holds_on_to_nothing(tmp_path: Path) -> None:
    kept: list[weakref.ref[torch.Tensor]] = []
    alive_at_retry: list[bool] = []

    class Leaky(Hungry):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if kept:
                alive_at_retry.append(kept.pop()() is not None)
            activation = self.net(inputs) * 1.0
            if self.training and len(inputs) > 2:
                kept.append(weakref.ref(activation))
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return activation

    make_trainer(tmp_path, model=Leaky()).fit()
    assert alive_at_retry == [False, False]


def test_memory_that_runs_out_in_the_middle_is_recovered_from(tmp_path: Path) -> None:
    model = Hungry()
    trainer = make_trainer(tmp_path, model=model)
    whole = make_trainer(tmp_path, name="whole", model=Hungry())

    def jitter(inputs: torch.Tensor) -> torch.Tensor:
        model.limits[True] = (
            3 if trainer.progress.step in (6, 7) else 99
        )  # somebody else's work comes and goes
        return inputs

    model.net.insert(0, nn.Identity())
    model.net[0].forward = jitter  # type: ignore[method-assign]
    whole.task.model.net.insert(0, nn.Identity())
    assert trainer.fit().reason == "epochs"
    whole.fit()
    assert [event["step"] for event in events(trainer, "oom")] == [6, 6]
    assert_close(final_state(trainer), final_state(whole))


def test_not_even_one_sample_saves_and_ends_with_advice(tmp_path: Path) -> None:
    model = Hungry()
    trainer = make_trainer(tmp_path, model=model)
    full: list[int] = []

    def fills_up(module: nn.Module, inputs: Any) -> None:
        if trainer.progress.step == 7 and module.training:
            model.limits[True] = 0
            full.append(len(inputs[0]))

    model.register_forward_pre_hook(fills_up)
    outcome = trainer.fit()
    assert (outcome.reason, outcome.exit_code) == ("failed", 1)
    assert "single sample" in outcome.message
    assert "training.gradient_checkpointing" in outcome.message
    assert full == [8, 4, 2, 1]
    saved = newest(trainer)
    assert (saved.manifest["step"], saved.manifest["epoch"], saved.manifest["batch"]) == (7, 1, 2)

    # With more memory it goes on as if nothing had been.
    again = make_trainer(tmp_path, model=Hungry())
    restore(again, saved)
    assert again.fit().reason == "epochs"
    whole = make_trainer(tmp_path, name="whole", model=Hungry())
    whole.fit()
    assert again.progress.step == whole.progress.step
    assert_close(final_state(again), final_state(whole))
    losses = [[e["metrics"]["train/loss"] for e in events(t, "epoch")] for t in (again, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_weights_that_are_spoilt_already_are_not_saved_for_want_of_memory(tmp_path: Path) -> None:
    model = Hungry()
    trainer = make_trainer(tmp_path, model=model)

    def spoils_then_fills_up(module: nn.Module, inputs: Any) -> Any:
        if trainer.progress.step == 7:
            return (inputs[0] * math.nan,)
        if trainer.progress.step == 8:
            model.limits[True] = 0
        return None

    model.register_forward_pre_hook(spoils_then_fills_up)
    trainer.recorder.seconds = trainer.recorder.next_due = math.inf
    assert trainer.fit().reason == "failed"
    assert the_event(trainer, "nonfinite")["step"] == 8
    assert newest(trainer).manifest["step"] == 5


# Evaluation


def part(count: int = 24) -> TensorPart:
    whole = make_part(count, seed=1)
    return TensorPart(whole.inputs, whole.targets)


@pytest.mark.parametrize("limit", [1, 5, 12, 23])
def test_an_evaluation_in_pieces_gives_the_same_figures(limit: int) -> None:
    torch.manual_seed(0)
    model = Hungry(evaluating=limit)
    task = Classification(model, SPEC)
    batches = Batches(part(), 10, seed=0, device="cpu", shuffle=False, train=False)
    short = evaluate(task, batches, FP32).compute()
    model.limits[False] = 99
    assert short == pytest.approx(evaluate(task, batches, FP32).compute())


def test_an_evaluation_that_cannot_be_done_saves_and_ends_with_advice(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, model=Hungry(evaluating=0), ema=0.9)
    before = trainer.task.model.training
    outcome = trainer.fit()
    assert (outcome.reason, outcome.exit_code) == ("failed", 1)
    assert "Out of memory with a single sample" in outcome.message
    assert (newest(trainer).manifest["step"], newest(trainer).manifest["epoch"]) == (5, 1)
    assert trainer.task.model.training is before
    assert not torch.equal(trainer.ema.average["net.0.weight"], trainer.task.model.net[0].weight)  # type: ignore[union-attr]


# Telling it from other troubles


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError(CPU_TEXT), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_only_want_of_memory_is_taken_for_it(error: Exception, is_it: bool) -> None:
    assert is_out_of_memory(error) is is_it


def test_the_cpus_own_words_are_known() -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)


def test_another_error_of_the_model_is_not_retried(tmp_path: Path) -> None:
    class Broken(Hungry):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            self.sizes.append(len(inputs))
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    model = Broken()
    with pytest.raises(RuntimeError, match="mat1"):
        make_trainer(tmp_path, model=model).fit()
    assert model.sizes == [8]
