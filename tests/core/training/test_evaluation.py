"""An evaluation is exact whatever the batches, and leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlcore.data.batches import Batches
from dlcore.data.spec import Batch, TensorPart
from dlcore.series import read
from dlcore.tasks.classification import Classification
from dlcore.training.evaluation import evaluate, split
from dlcore.training.precision import Precision
from tests.core.training.small import SPEC, events, final_state, make_model, make_part, make_trainer, newest

FP32 = Precision("fp32", torch.device("cpu"))


def part(count: int = 25) -> TensorPart:
    whole = make_part(count)
    return TensorPart(whole.inputs, whole.targets)


def batches(size: int, count: int = 25) -> Batches:
    return Batches(part(count), size, seed=0, device="cpu", shuffle=False, train=False)


def task() -> Classification:
    torch.manual_seed(0)
    return Classification(make_model(), SPEC)


@pytest.mark.parametrize("size", [1, 7, 8, 24, 25, 100])
def test_figures_do_not_depend_on_the_batches(size: int) -> None:
    judged = task()
    judged.model.eval()
    whole = part()
    with torch.no_grad():
        logits = judged.model(whole.inputs)
    results = evaluate(judged, batches(size), FP32).compute()
    assert results["loss"] == pytest.approx(float(F.cross_entropy(logits, whole.targets)), rel=1e-5)
    assert results["accuracy"] == pytest.approx(float((logits.argmax(1) == whole.targets).float().mean()))


@pytest.mark.parametrize("training", [True, False])
def test_it_leaves_no_trace(training: bool) -> None:
    judged = task()
    judged.model.train(training)
    before = {name: value.clone() for name, value in judged.model.state_dict().items()}
    random = torch.get_rng_state()
    evaluate(judged, batches(8), FP32)
    assert judged.model.training is training
    assert all(torch.equal(before[name], value) for name, value in judged.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in judged.model.parameters())


def test_a_failing_evaluation_leaves_the_mode_as_it_was() -> None:
    judged = task()
    judged.model.train()
    judged.model.append(nn.Linear(99, 1))  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="shapes"):
        evaluate(judged, batches(8), FP32)
    assert judged.model.training


@pytest.mark.parametrize(("count", "pieces"), [(8, 1), (8, 2), (8, 3), (7, 4), (3, 8), (1, 1)])
def test_pieces_are_the_batch_again(count: int, pieces: int) -> None:
    batch = Batch(torch.randn(count, 6), torch.arange(count), torch.arange(count))
    parts = split(batch, pieces)
    assert len(parts) <= min(count, pieces)
    assert max(len(part.targets) for part in parts) == -(-count // pieces)
    assert all(torch.equal(torch.cat(parts), whole) for *parts, whole in zip(*parts, batch, strict=True))


def test_the_averaged_weights_are_judged_where_there_are_any(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, ema=0.9, epochs=1)
    trainer.fit()
    own = {name: value.clone() for name, value in trainer.task.model.state_dict().items()}
    with trainer.ema.applied():  # type: ignore[union-attr]
        averaged = evaluate(trainer.task, trainer.val, FP32).compute()["loss"]
    raw = evaluate(trainer.task, trainer.val, FP32).compute()["loss"]
    assert raw != averaged
    assert read(trainer.recorder.run.metrics_path, "val/loss").value.tolist() == [averaged]
    assert all(torch.equal(own[name], value) for name, value in trainer.task.model.state_dict().items())


def test_every_other_epoch_is_judged_and_so_is_the_last(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, epochs=5, evaluate_every=2)
    trainer.fit()
    judged = [event["epoch"] for event in events(trainer, "epoch") if "val/loss" in event["metrics"]]
    assert judged == [2, 4, 5]


def test_the_best_checkpoint_holds_the_weights_that_were_judged_best(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, epochs=6, monitor="val/loss")
    trainer.fit()
    losses = {e["epoch"]: e["metrics"]["val/loss"] for e in events(trainer, "epoch")}
    epoch = min(losses, key=losses.__getitem__)
    best = trainer.saver.folder.best()
    assert best is not None
    assert best.manifest["epoch"] == trainer.progress.best["epoch"] == epoch  # type: ignore[index]
    trainer.task.model.load_state_dict(best.weights())
    assert evaluate(trainer.task, trainer.val, FP32).compute()["loss"] == losses[epoch]


class OddFigures(Classification):
    """A user's own task, whose figures are tensors."""

    def metrics(self):  # type: ignore[no-untyped-def]
        sums = super().metrics()
        compute = sums.compute
        sums.compute = lambda: {name: torch.tensor(value) for name, value in compute().items()}  # type: ignore
        return sums


def test_figures_of_an_odd_kind_do_not_spoil_the_checkpoint(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, epochs=1)
    trainer.task.__class__ = OddFigures
    trainer.fit()
    best = newest(trainer).trainer()["progress"]["best"]
    assert type(best["value"]) is float
    assert final_state(trainer)
