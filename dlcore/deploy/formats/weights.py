"""Weights alone, as safetensors or as PyTorch's own file; the layers have to be known where they are loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dlcore.deploy.exporting import FORMATS, Arrays, Format, Options, Subject, flat
from dlcore.run_dir import RunDir
from dlcore.training.around import core_of


class Weights(Format):
    """What both share: the network is rebuilt from the run, the weights are the file's."""

    architecture = False

    def load(self, path: Path) -> dict[str, Tensor]:
        """The tensors by name."""
        raise NotImplementedError

    def ask(self, path: Path, inputs: Arrays, hints: dict[str, str]) -> Arrays:
        """The run's network with nothing of the run's weights left in it."""
        from dlcore import trained

        found = trained.load(RunDir(Path(hints["run"])), hints["checkpoint"], device="cpu")
        batch = tuple(torch.from_numpy(array) for array in inputs)
        network, _ = found.task.exported(batch[0])
        weights = self.load(path)
        with torch.no_grad():
            for value in network.state_dict().values():
                value.fill_(1)
            core_of(network).load_state_dict(weights)
            return [tensor.numpy() for tensor in flat(network(*batch))]


@FORMATS.register("safetensors")
class SafeTensors(Weights):
    """Weights that load without running any code; what most tools read."""

    suffix = ".safetensors"

    def write(self, subject: Subject, path: Path, options: Options) -> None:
        """One tensor a name; tied ones are written twice."""
        tensors = {
            name: value.contiguous().clone() for name, value in core_of(subject.network).state_dict().items()
        }
        save_file(tensors, path, {"format": "pt", "dltui": json.dumps(subject.facts)})

    def load(self, path: Path) -> dict[str, Tensor]:
        """By safetensors itself."""
        tensors: dict[str, Tensor] = load_file(path)
        return tensors

    def usage(self, file: str, inputs: list[str]) -> list[str]:
        """Weights need the layers' code."""
        return [
            "from safetensors.torch import load_file",
            f'weights = load_file("{file}")',
            "print({name: tuple(tensor.shape) for name, tensor in weights.items()})",
            "# model.load_state_dict(weights)  # a torch.nn.Module of yours with the layers below",
        ]


@FORMATS.register("state-dict")
class StateDict(Weights):
    """PyTorch's own file of weights, to be loaded with weights_only=True."""

    suffix = ".pt"

    def write(self, subject: Subject, path: Path, options: Options) -> None:
        """Tensors only, so that it loads without running code."""
        torch.save(dict(core_of(subject.network).state_dict()), path)

    def load(self, path: Path) -> dict[str, Tensor]:
        """By torch.load, which refuses anything but tensors."""
        tensors: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return tensors

    def usage(self, file: str, inputs: list[str]) -> list[str]:
        """Weights need the layers' code."""
        return [
            "import torch",
            f'weights = torch.load("{file}", weights_only=True)',
            "print({name: tuple(tensor.shape) for name, tensor in weights.items()})",
            "# model.load_state_dict(weights)  # a torch.nn.Module of yours with the layers below",
        ]
