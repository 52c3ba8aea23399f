"""What every export format shares: what it is given, and what it says about itself.

A format is a file in ``formats/`` that registers under its name; nothing else has to be told about it. It writes
a file, and in a fresh process, with nothing but that file and what it needs to be read, it answers real samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from dlcore.registry import Registry

FORMATS = Registry("format", "dlcore.deploy.formats")

Arrays = list[NDArray[np.generic]]


@dataclass(frozen=True)
class Subject:
    """A trained network to be written, on the CPU and in evaluation mode.

    Attributes:
        network: what is called.
        inputs: a batch of real arguments to it, (batch, ...) each.
        facts: plain data about data, preprocessing and answers, kept in the file where it has room for them.
        run: the run's folder, for formats that hold weights alone.
        checkpoint: the checkpoint's name in it.
    """

    network: nn.Module
    inputs: tuple[Tensor, ...]
    facts: dict[str, Any]
    run: Path
    checkpoint: str


@dataclass(frozen=True)
class Options:
    """How to write.

    Attributes:
        dynamic: the file takes batches of any size, not of one sample.
        int8: weights of linear layers in eight bits.
    """

    dynamic: bool = False
    int8: bool = False


class Format(ABC):
    """One file format.

    Attributes:
        suffix: of its files.
        deprecated: a sentence where PyTorch wants people to leave it, else empty.
        int8: whether it can hold eight-bit weights.
        architecture: whether the file knows the layers, not their weights alone.
    """

    suffix: ClassVar[str]
    deprecated: ClassVar[str] = ""
    int8: ClassVar[bool] = False
    architecture: ClassVar[bool] = True

    @abstractmethod
    def write(self, subject: Subject, path: Path, options: Options) -> None:
        """Make the file.

        Raises:
            Exception: whatever the exporter raises where it cannot write this network.
        """

    @abstractmethod
    def ask(self, path: Path, inputs: Arrays, hints: dict[str, str]) -> Arrays:
        """Load the file, in whatever process this is, and answer one batch.

        Args:
            hints: ``run`` and ``checkpoint``, for a file of weights alone.
        """

    @abstractmethod
    def usage(self, file: str, inputs: list[str]) -> list[str]:
        """About five lines of Python that load and ask the file without dltui.

        Args:
            inputs: an expression that makes an example of each argument.
        """


@dataclass(frozen=True)
class Checked:
    """What became of an export.

    Attributes:
        path: the file.
        bytes: its size.
        difference: the largest between any number of its answers and the trained network's.
        tolerance: what it may be.
        samples: compared.
        real: whether they were of the run's data, not made up.
    """

    path: Path
    bytes: int
    difference: float
    tolerance: float
    samples: int
    real: bool
    notes: tuple[str, ...] = field(default=())


def format_of(name: str) -> Format:
    """A format by its name.

    Raises:
        UserError: there is none; names the nearest.
    """
    made: Format = FORMATS.entry(name).builder()
    return made


def flat(outputs: Any) -> list[Tensor]:
    """The tensors of nested outputs, in order."""
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, dict):
        return [tensor for value in outputs.values() for tensor in flat(value)]
    if isinstance(outputs, list | tuple):
        return [tensor for value in outputs for tensor in flat(value)]
    return []
