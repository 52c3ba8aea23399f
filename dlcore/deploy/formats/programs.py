"""The network as a program of PyTorch's: torch.export's .pt2, and TorchScript, which it replaces."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch
from torch import nn

from dlcore.deploy.exporting import FORMATS, Arrays, Format, Options, Subject, flat
from dlcore.deploy.tracing import example, sizes, traceable


@FORMATS.register("pt2")
class ExportedProgram(Format):
    """torch.export's file: the whole computation, run by PyTorch without the code that made it."""

    suffix = ".pt2"

    def write(self, subject: Subject, path: Path, options: Options) -> None:
        """Traced on real samples, strictly without the module's Python."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter about itself
            program = torch.export.export(
                traceable(subject),
                example(subject, options),
                dynamic_shapes=sizes(subject) if options.dynamic else None,
                strict=False,
            )
            torch.export.save(program, path, extra_files={"dltui.json": json.dumps(subject.facts)})

    def ask(self, path: Path, inputs: Arrays, hints: dict[str, str]) -> Arrays:
        """By torch.export.load alone."""
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            model = torch.export.load(path).module()
            return [tensor.numpy() for tensor in flat(model(*map(torch.from_numpy, inputs)))]

    def usage(self, file: str, inputs: list[str]) -> list[str]:
        """The layers come with it."""
        return [
            "import torch",
            f'model = torch.export.load("{file}").module()',
            f"outputs = model({', '.join(inputs)})",
        ]


@FORMATS.register("torchscript")
class TorchScript(Format):
    """A traced program for libtorch; PyTorch keeps it working and wants people to use torch.export."""

    suffix = ".jit.pt"
    deprecated = "PyTorch has deprecated TorchScript: pt2 is what comes after it"
    int8 = True

    def write(self, subject: Subject, path: Path, options: Options) -> None:
        """Traced on real samples; any batch size goes through where the network does not fix it."""
        network = quantised(subject.network) if options.int8 else subject.network
        inputs = (
            tuple(tensor[:2] for tensor in subject.inputs) if options.dynamic else example(subject, options)
        )
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter(
                "ignore"
            )  # deprecation, and shapes taken for constants: the check finds those
            traced = torch.jit.trace(network, inputs, check_trace=False)
            torch.jit.save(traced, str(path), _extra_files={"dltui.json": json.dumps(subject.facts)})

    def ask(self, path: Path, inputs: Arrays, hints: dict[str, str]) -> Arrays:
        """By torch.jit.load alone."""
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            model = torch.jit.load(str(path))
            return [tensor.numpy() for tensor in flat(model(*map(torch.from_numpy, inputs)))]

    def usage(self, file: str, inputs: list[str]) -> list[str]:
        """The layers come with it."""
        return [
            "import torch",
            f'model = torch.jit.load("{file}").eval()',
            f"outputs = model({', '.join(inputs)})",
        ]


def quantised(network: nn.Module) -> nn.Module:
    """A copy whose linear and recurrent layers hold eight-bit weights; activations are measured as they come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        changed: nn.Module = torch.ao.quantization.quantize_dynamic(network, {nn.Linear, nn.LSTM, nn.GRU})
    return changed
