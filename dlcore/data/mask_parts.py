"""From images and masks to `Data` whose target is a class for every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlcore.data.augment_masks import MaskAugmentName, mask_augmentation
from dlcore.data.preprocess import normalise_images, normaliser
from dlcore.data.spec import NOT_JUDGED, Data, DataSpec, TensorPart


class Masked(NamedTuple):
    """Images uint8 (samples, channels, height, width) and their masks int64 (samples, height, width)."""

    images: Tensor
    masks: Tensor


def masked_images(
    train: Masked,
    val: Masked,
    test: Masked | None,
    *,
    class_names: Sequence[str],
    augment: MaskAugmentName = "none",
    notes: Sequence[str] = (),
) -> Data:
    """Data of images kept as they are and normalised batch by batch, by the statistics of ``train``."""
    preprocessing = normalise_images(train.images)
    prepare = normaliser(preprocessing)
    spec = mask_spec(preprocessing, class_names, pixels_of_classes(train.masks, len(class_names)))
    change = mask_augmentation(augment, train.images.shape[-1])
    return Data(
        spec,
        TensorPart(*train, prepare, change),
        TensorPart(*val, prepare),
        TensorPart(*test, prepare) if test is not None and len(test.images) else None,
        tuple(notes),
    )


def mask_spec(preprocessing: dict[str, Any], class_names: Sequence[str], counts: Sequence[int]) -> DataSpec:
    """The spec of images preprocessed like this; two classes are one yes-no question a pixel.

    Args:
        counts: training pixels of each class.
    """
    return DataSpec(
        input="image",
        input_shape=tuple(preprocessing[key] for key in ("channels", "height", "width")),
        target="mask",
        num_outputs=1 if len(class_names) == 2 else len(class_names),
        class_names=tuple(class_names),
        class_counts=tuple(counts),
        preprocessing=preprocessing,
    )


def pixels_of_classes(masks: Tensor, classes: int) -> list[int]:
    """How many judged pixels each class has."""
    counts: list[int] = torch.bincount(masks[masks != NOT_JUDGED], minlength=classes).tolist()
    return counts
