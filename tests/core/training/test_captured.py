"""Replayed steps change the weights as steps made one operation at a time do, bit for bit on the CPU."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlcore import preset as presets
from dlcore.control import send
from dlcore.data.spec import Batch
from dlcore.series import read
from dlcore.tasks.classification import Classification
from dlcore.training import optimizers
from dlcore.training.capture.choice import choose_graph
from dlcore.training.capture.static import Ring
from dlcore.training.capture.stepper import FIRST, WATCHED, CapturedStepper
from dlcore.training.capture.tape import Tape, why_not
from dlcore.training.checkpoints import CheckpointFolder
from dlcore.training.freezing import Freezing
from dlcore.training.progress import restore
from dlcore.training.schedules import OneCycle
from dlcore.training.step import Stepper
from dlcore.training.task import Phase, Task
from dlcore.training.trainer import Trainer
from tests.core.training.replaying import Replaying, replaying
from tests.core.training.small import (
    SPEC,
    assert_same,
    events,
    final_state,
    make_model,
    make_part,
    make_trainer,
    the_event,
)

BEFORE = FIRST + WATCHED
SETTINGS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "a schedule": {"schedule": OneCycle()},
    "clipped": {"clip_norm": 0.1, "clip_value": 0.05},
    "averaged": {"ema": 0.9},
    "momentum": {"optimizer": partial(optimizers.sgd, lr=0.1, momentum=0.9, nesterov=True)},
    "sgd": {"optimizer": partial(optimizers.sgd, lr=0.1)},
    "muon": {"optimizer": optimizers.muon, "schedule": OneCycle()},
    "muon and sgd": {
        "optimizer": partial(optimizers.muon, fixed_norm=True, rest="sgd", sgd_head_lr=0.2, sgd_decay=0.01),
        "schedule": OneCycle(),
    },
    "muon that settles": {
        "optimizer": partial(optimizers.muon, rest="sgd", settle={"0.bias": 9}),
        "schedule": OneCycle(),
    },
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "fp16, clipped": {"precision": "fp16", "clip_norm": 0.1},
    "skipping": {"non_finite": "skip"},
    "a smaller last batch": {"train": make_part(43)},
    "accumulated": {"accumulate": 2},
}


def both(runs: Path, **settings: Any) -> tuple[Trainer, Trainer]:
    """The same training twice: as usual, and replayed."""
    usual = make_trainer(runs, name="usual", **settings)
    usual.fit()
    ours = make_trainer(runs, name="ours", stepping=replaying(), **settings)
    ours.fit()
    return usual, ours


def curve(trainer: Trainer, name: str = "train/loss") -> list[float]:
    return list(read(trainer.recorder.run.metrics_path, name).value)


def replayed(trainer: Trainer) -> int:
    stepper = trainer.stepper
    assert isinstance(stepper, CapturedStepper)
    return stepper.replayed


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_bitwise_what_the_usual_steps_give(tmp_path: Path, settings: dict[str, Any]) -> None:
    usual, ours = both(tmp_path, record_seconds=1e-9, **settings)

    assert_same(final_state(usual), final_state(ours))
    for name in ("train/loss", "train/lr", "train/grad_norm", "train/accuracy"):
        assert curve(usual, name) == curve(ours, name), name
    accumulated = settings.get("accumulate", 1) > 1
    tails = 1 if settings.get("train") else 0  # the second and third one are replayed, too
    assert replayed(ours) == (0 if accumulated else ours.progress.step - BEFORE - tails)
    assert events(ours, "warning") == []


class TwoPhases(Task):
    """Each half of the network has a loss of its own; the second draws noise."""

    def __init__(self) -> None:
        super().__init__(nn.ModuleList([make_model(), nn.Linear(6, 3)]), SPEC)
        first, second = self.model
        self.phases = (Phase("first", (first,)), Phase("second", (second,)))
        self._metrics = Classification(first, SPEC)

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, Tensor]:
        network = self.model[0 if phase == "first" else 1]
        noise = torch.randn_like(batch.inputs) if self.model.training else 0
        logits = network(batch.inputs + noise)
        return nn.functional.cross_entropy(logits, batch.targets), logits

    def metrics(self) -> Any:
        return self._metrics.metrics()

    def samples(self, batch: Batch, outputs: Any) -> list[dict[str, Any]]:
        return []


def test_a_task_of_two_phases(tmp_path: Path) -> None:
    usual, ours = both(tmp_path, make_task=TwoPhases)

    assert_same(final_state(usual), final_state(ours))
    for name in ("train/loss_first", "train/loss_second"):
        assert curve(usual, name) == curve(ours, name)
        assert len(curve(ours, name)) == ours.progress.step
    assert replayed(ours) > 0


@pytest.mark.parametrize("stop_after", [1, 3, 4, 5, 8, 13])
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path, stop_after: int) -> None:
    """Also where the one before was made without replaying."""
    options: dict[str, Any] = {"ema": 0.9, "schedule": OneCycle(), "train": make_part(43)}
    whole = make_trainer(tmp_path, name="whole", **options)
    whole.fit()
    first = make_trainer(tmp_path, stop_after=stop_after, stepping=replaying(), **options)
    first.fit()
    torch.manual_seed(99)
    second = make_trainer(tmp_path, stepping=replaying(), **options)
    checkpoint = CheckpointFolder(tmp_path / "run" / "checkpoints").newest()
    assert checkpoint is not None and restore(second, checkpoint) == {}
    second.fit()

    assert_same(final_state(whole), final_state(second))
    assert curve(whole) == curve(second)


def test_commands_reach_the_recorded_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Path] = []

    def goes_on(_: float) -> None:
        waited.append(send_to)
        send(send_to, "continue")

    monkeypatch.setattr("dlcore.training.commands.time.sleep", goes_on)
    plan = {6: "lr=0.0005", 7: "pause", 8: "inspect", 12: "evaluate", 13: "save"}
    trainers = []
    for name, stepping in (("usual", Stepper), ("ours", replaying())):
        send_to = tmp_path / name
        trainer = make_trainer(tmp_path, name=name, sends=plan, stepping=stepping)
        trainer.fit()
        trainers.append(trainer)

    usual, ours = trainers
    assert waited == [tmp_path / "usual", tmp_path / "ours"]
    assert_same(final_state(usual), final_state(ours))
    assert curve(ours, "train/lr")[-1] == 0.0005
    assert [event["command"] for event in events(ours, "command")] == [
        "lr",
        "pause",
        "continue",
        *list(plan.values())[2:],
    ]
    assert replayed(ours) == 15 - BEFORE


def test_the_batch_is_copied_where_the_step_reads_it(tmp_path: Path) -> None:
    """What the training hands over may change at once."""
    whole = make_trainer(tmp_path, name="whole", epochs=2)
    whole.fit()
    trainer = make_trainer(tmp_path, stepping=replaying(), epochs=2)
    step = trainer.stepper.step

    def spoilt(batches: Any, factor: float, keep: bool = False) -> None:
        step(batches, factor, keep)
        if trainer.stepper.observed is None:
            batches[0].inputs.fill_(1e6)

    trainer.stepper.step = spoilt  # type: ignore[method-assign]
    trainer.fit()
    assert_same(final_state(whole), final_state(trainer))


def test_losses_outlive_the_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More steps between two records than it has places."""
    small = partial(Ring, size=4)
    monkeypatch.setattr("dlcore.training.capture.stepper.Ring", small)
    usual, ours = both(tmp_path, record_seconds=1000.0, epochs=4)

    assert curve(ours) == curve(usual)
    assert len(curve(ours)) == 20


def test_layers_that_thaw_are_recorded_anew(tmp_path: Path) -> None:
    def options() -> dict[str, Any]:
        torch.manual_seed(0)
        model = make_model()
        return {"model": model, "freezing": Freezing(model, ["0", "1"], 1), "epochs": 3}

    usual = make_trainer(tmp_path, name="usual", **options())
    usual.fit()
    backend = Replaying()
    ours = make_trainer(tmp_path, name="ours", stepping=replaying(backend), **options())
    ours.fit()

    assert_same(final_state(usual), final_state(ours))
    assert [recorded.count for recorded in backend.recorded] == [5 - BEFORE, 10 - BEFORE]


# What cannot be replayed


class Waits(nn.Module):
    """Looks at a number on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.net = make_model()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net(inputs) * (2.0 if inputs.sum() > 0 else 1.0)


class Restless(nn.Module):
    """Python draws a number into each pass."""

    def __init__(self) -> None:
        super().__init__()
        self.net = make_model()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net(inputs) * (1 + random.random())


class Selects(nn.Module):
    """How many rows are left depends on their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.net = make_model()

    def forward(self, inputs: Tensor) -> Tensor:
        logits = self.net(inputs)
        kept = logits[inputs[:, 0] > -1e9]
        return kept if len(kept) == len(logits) else logits


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Waits, "waits for its numbers"),
        (Restless, "is called otherwise in each step"),
        (Selects, "aten.index.Tensor waits for its numbers"),
    ],
)
def test_a_network_that_does_not_stand_still(tmp_path: Path, network: type[nn.Module], reason: str) -> None:
    backend = Replaying()
    torch.manual_seed(0), random.seed(0)
    trainer = make_trainer(tmp_path, model=network(), stepping=replaying(backend))

    assert trainer.fit().reason == "epochs"

    warning = the_event(trainer, "warning")
    assert warning["kind"] == "graph"
    assert reason in warning["message"]
    assert backend.recorded == []


def test_a_recording_that_breaks_off_changes_nothing(tmp_path: Path) -> None:
    backend = Replaying(RuntimeError("operation not permitted when stream is capturing\nand more"))
    options = {"precision": "fp16", "clip_norm": 0.1, "ema": 0.9}
    usual = make_trainer(tmp_path, name="usual", **options)
    usual.fit()
    ours = make_trainer(tmp_path, stepping=replaying(backend), **options)
    ours.fit()

    assert_same(final_state(usual), final_state(ours))
    assert the_event(ours, "warning")["message"].endswith(
        "RuntimeError: operation not permitted when stream is capturing."
    )


def test_what_a_broken_recording_left_on_an_optimizer_is_cleared(tmp_path: Path) -> None:
    """A scale that stayed there would be taken times the next one."""
    usual = make_trainer(tmp_path, name="usual", precision="fp16")
    usual.fit()

    class BreaksOff(Replaying):
        def record(self, step: Any) -> Any:
            for optimizer in ours.optimizers.values():
                optimizer.grad_scale = optimizer.found_inf = torch.ones(())  # type: ignore[attr-defined]
            raise RuntimeError("in the middle of the optimizer's step")

    ours = make_trainer(tmp_path, stepping=replaying(BreaksOff()), precision="fp16")
    ours.fit()
    assert_same(final_state(usual), final_state(ours))


def test_rates_are_numbers_again_where_nothing_is_recorded(tmp_path: Path) -> None:
    """Some optimizers wait for a rate that is on the device."""
    trainer = make_trainer(tmp_path, model=Waits(), stepping=replaying(), schedule=OneCycle())
    trainer.fit()
    rates = [group["lr"] for each in trainer.optimizers.values() for group in each.param_groups]
    assert [type(rate) for rate in rates] == [float] * len(rates)


def test_a_shorter_batch_that_cannot_be_recorded_is_no_matter(tmp_path: Path) -> None:
    class Once(Replaying):
        def record(self, step: Any) -> Any:
            if self.recorded:
                raise RuntimeError("there is no more room")
            return super().record(step)

    options: dict[str, Any] = {"train": make_part(43), "epochs": 4}
    usual = make_trainer(tmp_path, name="usual", **options)
    usual.fit()
    ours = make_trainer(tmp_path, stepping=replaying(Once()), **options)
    ours.fit()
    assert_same(final_state(usual), final_state(ours))
    assert replayed(ours) == 4 * 5 - BEFORE
    assert events(ours, "warning") == []


def test_batches_of_many_shapes(tmp_path: Path) -> None:
    """Nothing is replayed, and the user is told."""
    trainer = make_trainer(tmp_path, stepping=replaying(), epochs=8)
    epoch = trainer.train.epoch

    def fewer(number: int, start: int = 0) -> Any:
        for place, batch in enumerate(epoch(number, start)):
            keep = 8 if number == 0 and place == 0 else 2 + (number * 5 + place) % 5
            yield Batch(*(tensor[:keep] for tensor in batch))

    trainer.train.epoch = fewer  # type: ignore[method-assign]
    trainer.fit()
    assert the_event(trainer, "warning")["message"].endswith("batches come in several shapes.")
    assert replayed(trainer) == 0


def test_a_training_that_goes_on_at_a_small_batch_waits_for_a_whole_one(tmp_path: Path) -> None:
    options: dict[str, Any] = {"train": make_part(43)}
    first = make_trainer(tmp_path, stop_after=5, **options)
    first.fit()
    second = make_trainer(tmp_path, stepping=replaying(), **options)
    checkpoint = CheckpointFolder(tmp_path / "run" / "checkpoints").newest()
    assert checkpoint is not None
    restore(second, checkpoint)
    second.fit()
    assert replayed(second) == 2 * 5 - BEFORE + 1  # two of three small ones and the first whole ones as usual


@pytest.mark.parametrize(
    ("sets", "recorded"),
    [
        ((), True),
        (("optimizer.name=sgd",), True),
        (("optimizer.name=sgd", "training.fused=false"), False),
        (("optimizer.name=adamw", "training.fused=false"), True),
        (("training.accumulate=2",), False),
        (("training.compile=reduce-overhead",), False),
    ],
)
def test_which_steps_are_recorded_on_a_gpu(sets: tuple[str, ...], recorded: bool) -> None:
    """Sgd that is not fused asks the device for its rate at every step."""
    preset = presets.load("digits-mlp", sets, builders=True)
    fused = preset.training.fused
    assert choose_graph(preset, SPEC, torch.device("cuda"), "bf16", fused=fused)[0] is recorded


# What a step is seen to do, on tensors that are anywhere but on the host


def library() -> Any:
    made = torch.library.Library("dltui_tests", "FRAGMENT")
    made.define(
        "attend(Tensor steps, float seed) -> (Tensor, Tensor)", tags=(torch.Tag.nondeterministic_seeded,)
    )
    made.define("back(Tensor steps, Tensor seed) -> Tensor")
    made.impl("attend", lambda steps, seed: (steps * 2, torch.tensor(seed)), "Meta")
    made.impl("back", lambda steps, seed: steps * 3, "Meta")
    return made


def tape_of(work: Any) -> Tape:
    with Tape(torch.device("meta")) as tape:
        work()
    return tape


def test_the_seed_that_attention_keeps_is_no_number_of_the_hosts() -> None:
    """Its kernels hand it on as a number on the host while nothing is recorded; another one in each step."""
    made = library()

    def step(seed: float) -> None:
        out, kept = torch.ops.dltui_tests.attend(torch.empty(3, device="meta"), 0.0 * seed)
        kept.fill_(seed)
        torch.ops.dltui_tests.back(out, kept)

    first, second = (tape_of(lambda seed=seed: step(seed)) for seed in (1.0, 2.0))
    assert first.troubles == {}
    assert [call for call in first.calls if "dltui_tests" in call[0]] == [
        call for call in second.calls if "dltui_tests" in call[0]
    ]
    del made


def test_numbers_drawn_on_the_host_are_a_trouble() -> None:
    assert "draws random numbers on the host" in next(iter(tape_of(lambda: torch.rand(3)).troubles))


def test_another_number_in_each_step_is_a_trouble() -> None:
    steps = torch.empty(3, device="meta")
    first, second = (tape_of(lambda at=at: steps * torch.tensor(at)) for at in (1.0, 2.0))
    assert "is called otherwise in each step" in why_not(first, second)
