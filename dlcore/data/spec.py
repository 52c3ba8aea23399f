"""What data is, told to everything that must not know where it came from.

`DataSpec` is plain JSON-able fact and travels in the checkpoint: predicting needs it when the data is
gone. `Data` holds the parts. Nothing here loads anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset

InputKind = Literal["vector", "image", "sequence", "tokens"]
TargetKind = Literal["class", "binary", "number", "mask", "tokens", "none", "reward"]

NOT_JUDGED = -100
"""In place of a class index in a mask: neither loss nor metrics count the pixel. torch's ``ignore_index``."""


@dataclass(frozen=True)
class DataSpec:
    """Shape and meaning of one sample, batch dimension left out.

    Attributes:
        input: ``vector`` (features,), ``image`` (channels, height, width), ``sequence`` (time, features),
            ``tokens`` (time,) of int64 ids.
        input_shape: shape of one sample.
        input_dtype: torch dtype name of a batch as the model sees it.
        target: ``class`` int64 (), ``binary`` int64 () of 0 or 1, ``number`` float32 (outputs,),
            ``mask`` int64 (height, width) of class indices or `NOT_JUDGED`, ``tokens`` int64 (time,) of ids,
            ``none`` int64 () of zeros where inputs are all there is, ``reward`` the same where an
            environment answers.
        num_outputs: how many numbers the model answers a sample (a pixel, a token, a state): classes, 1 for
            binary, regression targets, the size of the vocabulary, actions.
        class_names: in the order of the class indices; empty for numbers.
        class_counts: samples (pixels, for masks) of each class in the training part; empty for numbers.
        target_names: of the numbers to predict; empty for classes.
        target_offset: mean of each target in the training part; targets themselves stay in their units.
        target_scale: standard deviation of each target in the training part, 1 where it is 0.
        feature_names: of a vector's entries; empty when they have none.
        vocabulary: token of each id, for token inputs.
        pad_id: id that fills up short token sequences, or None.
        preprocessing: what turns a raw input into a model input, as plain data, with a ``kind`` key;
            made from the training part only.
    """

    input: InputKind
    input_shape: tuple[int, ...]
    target: TargetKind
    num_outputs: int
    input_dtype: str = "float32"
    class_names: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    target_names: tuple[str, ...] = ()
    target_offset: tuple[float, ...] = ()
    target_scale: tuple[float, ...] = ()
    feature_names: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    pad_id: int | None = None
    preprocessing: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DataSpec:
        """Inverse of `to_dict` after a trip through JSON."""
        lists: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**lists)


class Batch(NamedTuple):
    """What the loop hands to a task. Tensors are on the training device."""

    inputs: Tensor  # (batch, *input_shape)
    targets: Tensor  # (batch, *target_shape), as `DataSpec.target` says
    index: Tensor  # type: ignore[assignment]  # (batch,) positions within the part, int64, on the CPU


@dataclass(frozen=True)
class TensorPart:
    """A part that fits in memory: whole tensors, sliced by a permutation, no per-sample Python.

    Attributes:
        inputs: (samples, ...) in storage dtype, e.g. uint8 images or float32 features.
        targets: (samples, *target_shape), int64 or float32.
        prepare: storage -> model input for a whole batch on its device (normalise, to float); None when
            the inputs are stored ready.
        augment: random change of a prepared training batch, or None; see `batches.Augmentation`.
    """

    inputs: Tensor
    targets: Tensor
    prepare: Callable[[Tensor], Tensor] | None = None
    augment: Any = None

    def __len__(self) -> int:
        return int(self.inputs.shape[0])


@dataclass(frozen=True)
class DatasetPart:
    """A part too large for memory: a map-style dataset behind a DataLoader.

    Attributes:
        dataset: ``dataset[(epoch, index)] -> (input, target)`` tensors; randomness only from
            (seed, epoch, index), so that the number of loader workers changes nothing.
        prepare: as in `TensorPart`.
    """

    dataset: Dataset[Any]
    prepare: Callable[[Tensor], Tensor] | None = None
    augment: Any = None

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]


Part = TensorPart | DatasetPart


@dataclass(frozen=True)
class Data:
    """A spec with its parts. ``test`` may be None when there is nothing held back.

    Attributes:
        notes: sentences for the user about what loading did (columns dropped, files skipped).
    """

    spec: DataSpec
    train: Part
    val: Part
    test: Part | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataContext:
    """What a data builder may know of the run.

    Attributes:
        folder: where downloaded data is kept (DLTUI_DATA or the user's cache).
        seed: fixes the split.
        report: shows one line of progress, e.g. of a download.
        base: the preset's folder; relative paths in a preset are taken from the working folder
            first, then from here.
    """

    folder: Path
    seed: int = 0
    report: Callable[[str], None] = print
    base: Path | None = None
