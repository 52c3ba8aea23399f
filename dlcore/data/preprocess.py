"""From raw inputs to model inputs, driven by the plain data in `DataSpec.preprocessing`.

Training and prediction call the same functions, so what a model was trained on is what it is asked later.
Statistics come from the training part only: builders pass that part and nothing else. Kinds:

    {"kind": "standardise", "mean": [...], "std": [...]}                  vectors: (x - mean) / std
    {"kind": "image", "channels", "height", "width", "scale", "mean", "std"}   (x / scale - mean) / std
    {"kind": "table", "columns": [...], "missing": [...], "decimal", "target"}  text cells; see `table.py`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from dlcore.data.table import encode_rows

Statistics = Literal["train", "imagenet"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue, as nearly all published weights were trained with."""

IMAGENET_GREY = (0.449, 0.226)


class Normaliser:
    """Subtract and divide, a feature or channel at a time; a batch never loses its device.

    Args:
        mean, std: in the units of the raw input, shaped to broadcast against one sample.
    """

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self._constants = {torch.device("cpu"): (mean.float(), std.double().reciprocal().float())}

    def __call__(self, raw: Tensor) -> Tensor:
        """float32 (batch, ...) from ``raw`` (batch, ...) of any number type, which stays as it is."""
        constants = self._constants.get(raw.device)
        if constants is None:
            mean, factor = self._constants[torch.device("cpu")]
            constants = self._constants[raw.device] = (mean.to(raw.device), factor.to(raw.device))
        return raw.to(torch.float32, copy=True).sub_(constants[0]).mul_(constants[1])


def normaliser(preprocessing: Mapping[str, Any]) -> Normaliser:
    """The tensor function of a ``standardise`` or ``image`` kind."""
    mean, std = (torch.tensor(preprocessing[key], dtype=torch.float64) for key in ("mean", "std"))
    if preprocessing["kind"] == "image":
        scale = float(preprocessing["scale"])
        mean, std = mean.view(-1, 1, 1) * scale, std.view(-1, 1, 1) * scale
    return Normaliser(mean, std)


def preprocess(preprocessing: Mapping[str, Any], raw: Any) -> Tensor:
    """Model inputs, float32 (batch, ...), of raw inputs as they come from outside.

    Args:
        raw: for ``standardise`` numbers (batch, features), a tensor or nested lists; for ``image`` a tensor
            (batch, channels, height, width) in 0..scale, such as `pictures.read_picture` gives; for
            ``table`` a list of rows, each a mapping of column name to cell.

    Raises:
        UserError: a cell that should be a number is none, or a column is missing.
    """
    kind = preprocessing["kind"]
    if kind not in KINDS:
        raise ValueError(f"unknown preprocessing kind {kind!r}, known are {', '.join(KINDS)}")
    return KINDS[kind](preprocessing, raw)


def standardise(features: Tensor) -> dict[str, Any]:
    """The ``standardise`` kind for training features (samples, features); a constant one keeps its scale."""
    numbers = features.double()
    std = numbers.std(0, correction=0)
    return {
        "kind": "standardise",
        "mean": numbers.mean(0).tolist(),
        "std": torch.where(std > 0, std, 1.0).tolist(),
    }


def normalise_images(
    images: Tensor, scale: float = 255.0, statistics: Statistics = "train"
) -> dict[str, Any]:
    """The ``image`` kind for training images (samples, channels, height, width), by channel, in 0..1 units.

    Args:
        images: uint8, or whole numbers in 0..255 of any type.
        scale: the raw value that stands for full brightness.
        statistics: mean and deviation of these images, or ImageNet's; grey images get those of its greys.
    """
    channels = images.shape[1]
    if statistics == "imagenet":
        grey_mean, grey_std = IMAGENET_GREY
        known = (list(IMAGENET_MEAN), list(IMAGENET_STD)) if channels == 3 else ([grey_mean], [grey_std])
        return _image_kind(images, scale, *known)
    levels = torch.arange(256, dtype=torch.float64) / scale
    means, stds = [], []
    for channel in range(channels):  # a histogram is exact and costs 13 ms for MNIST, a tenth of float sums
        counts = torch.bincount(images[:, channel].reshape(-1).to(torch.uint8), minlength=256).double()
        share = counts / counts.sum()
        mean = float(share @ levels)
        means.append(mean)
        stds.append(float((share @ (levels - mean) ** 2).sqrt()) or 1.0)
    return _image_kind(images, scale, means, stds)


def _image_kind(images: Tensor, scale: float, mean: list[float], std: list[float]) -> dict[str, Any]:
    _, channels, height, width = images.shape
    return {
        "kind": "image", "channels": channels, "height": height, "width": width,
        "scale": float(scale), "mean": mean, "std": std,
    }  # fmt: skip


def _tensors(preprocessing: Mapping[str, Any], raw: Any) -> Tensor:
    return normaliser(preprocessing)(torch.as_tensor(raw))


def _table(preprocessing: Mapping[str, Any], raw: Any) -> Tensor:
    return torch.from_numpy(encode_rows(preprocessing, raw))


KINDS: dict[str, Callable[[Mapping[str, Any], Any], Tensor]] = {
    "standardise": _tensors,
    "image": _tensors,
    "table": _table,
}
