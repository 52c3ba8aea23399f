"""What only a GPU can show: recorded steps, no waiting between records, copies from pinned memory.

Skipped where there is none; the CPU runs the same code behind stand-ins in the tests beside this one.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlcore import preset as presets
from dlcore.bench.bench import Bench
from dlcore.data.batches import Batches
from dlcore.data.spec import Batch, DatasetPart, Part, TensorPart
from dlcore.training import optimizers
from dlcore.training.capture.backend import CudaGraphs
from dlcore.training.capture.stepper import FIRST, WATCHED, CapturedStepper
from dlcore.training.checkpoints import CheckpointFolder
from dlcore.training.memory import MemorySplit
from dlcore.training.progress import restore
from dlcore.training.schedules import OneCycle
from dlcore.training.trainer import Trainer
from tests.core.training.small import Rows, events, final_state, make_part, make_streamed, make_trainer
from tests.core.training.test_captured import TwoPhases, curve, replayed

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")

BEFORE = FIRST + WATCHED
SETTINGS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "not fused": {"optimizer": lambda modules: torch.optim.AdamW(modules[0].parameters(), lr=1e-3)},
    "a schedule": {"schedule": OneCycle()},
    "clipped": {"clip_norm": 0.1, "clip_value": 0.05},
    "averaged": {"ema": 0.9},
    "momentum": {"optimizer": partial(optimizers.sgd, lr=0.1, momentum=0.9, nesterov=True)},
    "rmsprop": {"optimizer": partial(optimizers.rmsprop, momentum=0.5)},
    "muon": {"optimizer": optimizers.muon, "schedule": OneCycle()},
    "muon and sgd": {
        "optimizer": partial(optimizers.muon, fixed_norm=True, rest="sgd", sgd_head_lr=0.2, sgd_decay=0.01)
    },
    "momentum in fp16": {"optimizer": partial(optimizers.sgd, lr=0.1, momentum=0.9), "precision": "fp16"},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "fp16, clipped": {"precision": "fp16", "clip_norm": 0.1},
    "skipping": {"non_finite": "skip"},
    "a smaller last batch": {"train": make_part(43)},
    "two phases": {"make_task": TwoPhases},
    "streamed": {"train": make_streamed(43)},
}


def capturing() -> Callable[..., CapturedStepper]:
    return partial(CapturedStepper, backend=CudaGraphs(torch.device("cuda", torch.cuda.current_device())))


def on_gpu(runs: Path, name: str, **settings: Any) -> Trainer:
    trainer = make_trainer(runs, name=name, device="cuda", **settings)
    trainer.fit()
    return trainer


def assert_close(left: dict[str, Tensor], right: dict[str, Tensor], tolerance: float) -> None:
    torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_recorded_steps_give_the_losses_of_usual_ones(tmp_path: Path, settings: dict[str, Any]) -> None:
    """With dropout: the generator goes on from replay to replay as from step to step."""
    usual = on_gpu(tmp_path, "usual", **settings)
    ours = on_gpu(tmp_path, "ours", stepping=capturing(), **settings)

    assert events(ours, "warning") == []
    tails = 1 if settings.get("train") else 0
    assert replayed(ours) == ours.progress.step - BEFORE - tails
    rounded = "precision" in settings or "muon" in str(settings.get("optimizer"))  # which multiplies in bf16
    tolerance = 1e-2 if rounded else 1e-4
    names = ["train/loss_first", "train/loss_second"] if "make_task" in settings else ["train/loss"]
    for name in names:
        torch.testing.assert_close(
            torch.tensor(curve(usual, name)), torch.tensor(curve(ours, name)), rtol=tolerance, atol=tolerance
        )
    assert_close(final_state(usual), final_state(ours), tolerance)


def test_random_numbers_are_drawn_anew_in_each_replay(tmp_path: Path) -> None:
    class Noise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(6, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.net(inputs) * 0 + torch.randn(len(inputs), 3, device=inputs.device)

    trainer = on_gpu(tmp_path, "noise", model=Noise(), stepping=capturing(), epochs=4)
    losses = curve(trainer)
    assert replayed(trainer) > 10
    assert len(set(losses)) == len(losses)


def test_a_resumed_training_goes_on_as_it_would_have(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"ema": 0.9, "schedule": OneCycle(), "stepping": capturing()}
    whole = on_gpu(tmp_path, "whole", **settings)
    on_gpu(tmp_path, "run", stop_after=8, **settings)
    second = make_trainer(tmp_path, name="run", device="cuda", **settings)
    checkpoint = CheckpointFolder(tmp_path / "run" / "checkpoints").newest()
    assert checkpoint is not None
    restore(second, checkpoint)
    second.fit()
    assert_close(final_state(whole), final_state(second), 1e-4)


class Waits(nn.Module):
    """Looks at a number on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.1), nn.Linear(8, 3))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net(inputs) * (2.0 if inputs.sum() > 0 else 1.0)


@pytest.mark.parametrize("watch", [True, False])
def test_what_cannot_be_recorded_trains_as_usual(tmp_path: Path, watch: bool) -> None:
    """Also when only the recording itself finds out: a broken-off one leaves the generator usable."""
    stepping = partial(capturing(), watch=watch)
    trainer = on_gpu(tmp_path, "waits", model=Waits(), stepping=stepping)
    assert trainer.outcome is not None and trainer.outcome.reason == "epochs"
    assert replayed(trainer) == 0
    assert [event["kind"] for event in events(trainer, "warning")] == ["graph"]


def free_after(work: Callable[[], None]) -> int:
    """Bytes that torch holds when all is let go of."""
    work()
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved()


def test_a_recording_that_breaks_off_gives_its_memory_back() -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    backend = CudaGraphs(device)

    def step() -> None:
        kept = [torch.empty(64 << 20, device=device) for _ in range(4)]  # 1 GiB
        kept[0][0].item()

    def breaks_off() -> None:
        with pytest.raises(RuntimeError):
            backend.record(step)

    before = free_after(lambda: None)
    assert free_after(breaks_off) - before < 256 << 20
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    dropped = nn.functional.dropout(torch.ones(1000, device=device))  # the generator is usable
    assert 300 < int((dropped == 0).sum()) < 700


def test_recordings_that_share_memory_leave_each_others_results_alone(tmp_path: Path) -> None:
    """Also where the second one breaks off: the first goes on, and random numbers with it."""
    backend = CudaGraphs(torch.device("cuda", torch.cuda.current_device()))
    inputs = torch.zeros(1000, device="cuda")

    def step(scale: float) -> Tensor:
        made = inputs + scale
        for _ in range(4):
            made = (made * 2).tanh() + scale
        return made + torch.rand_like(made)

    def waits_for_the_device() -> None:
        inputs.sum().item()

    backend.aside(lambda: [step(1.0)].clear())
    first = backend.record(partial(step, 1.0))
    second = backend.record(partial(step, 5.0))
    first.replay()
    kept = first.outputs.clone()
    second.replay()
    assert torch.equal(first.outputs, kept)
    assert not torch.equal(second.outputs, kept)
    with pytest.raises(RuntimeError):
        backend.record(waits_for_the_device)
    first.replay()
    drawn = torch.rand_like(inputs)
    assert not torch.equal(first.outputs, kept)
    assert not torch.equal(first.outputs - first.outputs.min(), drawn - drawn.min())
    del first, second
    backend.record(partial(step, 2.0)).replay()  # in memory of its own


def test_attention_with_dropout_is_recorded(tmp_path: Path) -> None:
    """Its kernels keep their seed on the host while nothing is recorded."""

    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.Linear(6, 3 * 64), nn.Linear(64, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            query, key, value = self.before(inputs).view(1, 1, len(inputs), 3, 64).unbind(3)
            mixed = nn.functional.scaled_dot_product_attention(query, key, value, dropout_p=0.1)
            return self.after(mixed[0, 0])

    for precision in ("fp32", "bf16"):  # by kernels of their own
        trainer = on_gpu(tmp_path, precision, model=Attends(), stepping=capturing(), precision=precision)
        assert events(trainer, "warning") == []
        assert replayed(trainer) == trainer.progress.step - BEFORE


@pytest.mark.parametrize("rounds", ["gru", "lstm"])
def test_recurrent_networks_are_recorded(tmp_path: Path, rounds: str) -> None:
    class Recurs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells = (nn.GRU if rounds == "gru" else nn.LSTM)(1, 16, batch_first=True)
            self.after = nn.Linear(16, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.after(self.cells(inputs[..., None])[0][:, -1])

    usual = on_gpu(tmp_path, "usual", model=seeded(Recurs))
    ours = on_gpu(tmp_path, "ours", model=seeded(Recurs), stepping=capturing())
    assert events(ours, "warning") == []
    assert replayed(ours) == ours.progress.step - BEFORE
    assert_close(final_state(usual), final_state(ours), 1e-3)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return make()


def test_the_device_times_the_parts_of_a_recorded_step(tmp_path: Path) -> None:
    preset = presets.load(
        "digits-cnn", ("training.device=cuda", "training.record_seconds=1000"), builders=True
    )
    bench = Bench(preset, tmp_path, 1.0, lambda line: None)
    with bench.training(bench.opened) as trainer:
        trainer.advance(BEFORE + 2)
        split = trainer.split(5)
        trainer.advance(5)
    assert split.keys() == {"data", "forward", "backward", "optimizer", "launch"}
    assert all(1e-6 < split[part] < 1e-2 for part in ("forward", "backward", "optimizer"))


def test_parts_of_memory_add_up_to_what_the_device_holds(tmp_path: Path) -> None:
    trainer = on_gpu(tmp_path, "memory", epochs=1)
    (event,) = events(trainer, "memory")
    parts = [event[name] for name in (field.name for field in fields(MemorySplit))]
    assert sum(parts) == event["total"] == event["peak"] + event["cached"]
    assert 0 < event["peak"] <= torch.cuda.max_memory_reserved()


@pytest.fixture
def waiting() -> Iterator[Callable[[bool], None]]:
    """Switches whether torch lets the host wait for the device."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")  # said once
        torch.cuda.set_sync_debug_mode("default")
    yield lambda allowed: torch.cuda.set_sync_debug_mode("default" if allowed else "error")
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("graph", [False, True], ids=["usual", "recorded"])
def test_nothing_waits_for_the_device_between_records(
    tmp_path: Path, waiting: Callable[[bool], None], graph: bool, settings: dict[str, Any]
) -> None:
    """Batches and augmentation included; records may wait, and so may the first steps, which are watched.

    For an event of a copy the host does wait, which torch allows: it is not the device that it waits for.
    """
    stepping = {"stepping": capturing()} if graph else {}
    make = make_streamed if isinstance(settings.get("train"), DatasetPart) else make_part
    own = {**settings, **stepping, "train": make(160)}
    trainer = make_trainer(tmp_path, device="cuda", record_seconds=1000.0, epochs=1, **own)
    step, made = trainer._step, []

    def watched(batches: Any, keep: bool) -> bool:
        waiting(keep or trainer.progress.step <= BEFORE + 1)
        done = step(batches, keep)
        quiet = not keep and trainer.progress.step > BEFORE + 1
        waiting(not quiet)  # the next batch is part of it
        made.append(quiet)
        return done

    trainer._step = watched  # type: ignore[method-assign]
    assert trainer.fit().reason == "epochs"
    assert made.count(True) >= 12


def wide_part(count: int = 37) -> TensorPart:
    """1 MiB a sample: a batch takes a while to be copied, and the last one is smaller."""
    inputs = torch.randn(count, 1 << 18, generator=torch.Generator().manual_seed(0))
    return TensorPart(inputs, torch.arange(count))


def streaming(part: Part, *, workers: int = 0) -> Batches:
    return Batches(part, 4, seed=0, device="cuda", shuffle=True, workers=workers, on_device=False, train=True)


@pytest.mark.parametrize(
    "workers", [0, 1, None], ids=["read here", "read by a process", "in the host's memory"]
)
def test_batches_from_pinned_memory_are_those_of_the_part(workers: int | None) -> None:
    """Read by a device that is busy while they are copied, and that keeps none: their memory is used again."""
    part = wide_part()
    batches = streaming(part if workers is None else DatasetPart(Rows(part)), workers=workers or 0)
    busy = torch.randn(2048, 2048, device="cuda")
    try:
        for epoch, start in ((0, 0), (1, 3)):
            sums, targets, indices = [], [], []
            for batch in batches.epoch(epoch, start=start):
                for _ in range(20):
                    busy = torch.tanh(busy @ busy)
                assert batch.inputs.is_cuda and batch.targets.is_cuda and not batch.index.is_cuda
                sums.append(batch.inputs.double().sum(1))
                targets.append(batch.targets.clone())
                indices.append(batch.index)
                del batch
            index = torch.cat(indices)
            assert len(index) == 37 - 4 * start
            assert torch.equal(torch.cat(targets).cpu(), index)
            torch.testing.assert_close(torch.cat(sums).cpu(), part.inputs.double().sum(1)[index])
    finally:
        batches.close()


def test_a_batch_that_is_kept_stays_what_it_was() -> None:
    part = wide_part()
    kept: list[Batch] = list(streaming(DatasetPart(Rows(part))).epoch(0))
    for batch in kept:
        assert torch.equal(batch.inputs.cpu(), part.inputs[batch.index])


def test_the_host_is_a_few_batches_early_at_most() -> None:
    """However much work is queued: of twenty batches few are on the device at once, those under way included."""
    batches = streaming(DatasetPart(Rows(wide_part(80))))
    busy = torch.randn(4096, 4096, device="cuda")
    product = busy @ busy
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_stats()["active_bytes.all.current"]
    for batch in batches.epoch(0):
        for _ in range(10):
            torch.matmul(busy, busy, out=product)
        product[0, 0] = batch.inputs[0, 0]
        del batch
    torch.cuda.synchronize()
    a_batch = 4 << 20
    assert torch.cuda.memory_stats()["active_bytes.all.peak"] - before <= 7.5 * a_batch
