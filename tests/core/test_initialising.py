"""A network may see some training inputs before it is trained: once, as it will get them, and not again on resuming."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dlcore import assembly, preset, worker
from dlcore.data.batches import some_inputs
from dlcore.data.spec import DatasetPart, TensorPart
from dlcore.run_dir import RunDir
from dlcore.training.checkpoints import CheckpointFolder
from tests.core.preset_runs import process_given_back

OWN = """
import torch
from torch import nn

class Centred(nn.Module):
    '''Subtracts what it saw.'''

    def __init__(self, spec, *, width: int = 4) -> None:
        super().__init__()
        self.register_buffer("middle", torch.full(spec.input_shape, 99.0))
        self.head = nn.Linear(spec.input_shape[0], spec.num_outputs)

    def initialise_from(self, inputs):
        assert not torch.is_grad_enabled()
        self.middle.copy_(inputs.mean(0))
        self.seen = len(inputs)

    def forward(self, inputs):
        return self.head(inputs - self.middle)
"""


PRESET = """
[data]
name = "wine"

[model]
name = "{file}:Centred"

[training]
epochs = {epochs}
"""


def own(folder: Path, epochs: int = 1) -> preset.Preset:
    file = folder / "centred.py"
    file.write_text(OWN)
    return preset.loads(PRESET.format(file=file, epochs=epochs), "own.toml", builders=True)


def test_prepared_inputs_of_the_training_part_are_shown(tmp_path: Path) -> None:
    parts = assembly.build(own(tmp_path), print)
    part = parts.data.train
    assert parts.model.seen == len(part)  # fewer than may be shown
    expected = part.inputs if part.prepare is None else part.prepare(part.inputs)
    torch.testing.assert_close(parts.model.middle, expected.mean(0))


def test_what_was_seen_is_kept_in_the_checkpoint_and_not_seen_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(assembly, "some_inputs", lambda *args: seen.append(1) or some_inputs(*args))
    run = RunDir.create(tmp_path, "run", "own.toml")
    for epochs in (1, 2):
        run.preset_path.write_text(preset.dump(own(tmp_path, epochs)))
        with process_given_back():
            assert worker.run(run) == 0
    assert run.summary().epoch == 2
    assert seen == [1]
    checkpoint = CheckpointFolder(run.path / "checkpoints").newest()
    assert checkpoint is not None
    fresh = assembly.build(own(tmp_path), print).model
    assert torch.equal(checkpoint.weights()["middle"], fresh.middle)


def test_a_checkpoint_that_is_damaged_is_none(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, "run", "own.toml")
    run.preset_path.write_text(preset.dump(own(tmp_path)))
    with process_given_back():
        assert worker.run(run) == 0
    for file in (run.path / "checkpoints").rglob("*.safetensors"):
        file.write_bytes(b"")
    with process_given_back():
        assert worker.run(run) == 0
    checkpoint = CheckpointFolder(run.path / "checkpoints").newest()
    assert checkpoint is not None
    assert not (checkpoint.weights()["middle"] == 99).any()


def test_the_inputs_are_picked_by_the_seed_whatever_holds_them() -> None:
    inputs = torch.arange(50.0)[:, None]
    memory = TensorPart(inputs, torch.zeros(50), prepare=lambda raw: raw * 2)

    class Rows(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 50

        def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, int]:
            return inputs[key[1]], 0

    disk = DatasetPart(Rows(), prepare=lambda raw: raw * 2)
    seen = some_inputs(memory, 7, 3)
    assert len(seen.unique()) == 7 and set(seen.flatten().tolist()) <= set((inputs * 2).flatten().tolist())
    assert torch.equal(seen, some_inputs(disk, 7, 3))
    assert not torch.equal(seen, some_inputs(memory, 7, 4))
