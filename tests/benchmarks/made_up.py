"""Random data of a chosen size, named in presets as ``made_up.py:points``: speed does not depend on content."""

from __future__ import annotations

import torch

from dlcore.data.build import Pictures
from dlcore.data.build import images as image_data
from dlcore.data.spec import Data, DataContext, DataSpec, TensorPart
from dlcore.fields import Count


def points(context: DataContext, *, samples: Count = 40_000, features: Count = 6, classes: Count = 3) -> Data:
    """Points whose class is the largest of their first features.

    Args:
        samples: points of the training part; the validation part has 256.
        features: numbers a point.
        classes: at most as many as features.
    """
    spec = DataSpec("vector", (features,), "class", classes, class_names=tuple(map(str, range(classes))))
    made = torch.Generator().manual_seed(context.seed)
    train, val = (torch.randn(count, features, generator=made) for count in (samples, 256))
    return Data(spec, *(TensorPart(inputs, inputs[:, :classes].argmax(1)) for inputs in (train, val)))


def images(context: DataContext, *, samples: Count = 54_000, val: Count = 6_000) -> Data:
    """Noise of MNIST's shape and storage: uint8 (1, 28, 28), normalised batch by batch.

    Args:
        samples: images of the training part.
        val: images of the validation part.
    """
    made = torch.Generator().manual_seed(context.seed)

    def noise(count: int) -> Pictures:
        pixels = torch.randint(256, (count, 1, 28, 28), dtype=torch.uint8, generator=made)
        return Pictures(pixels, torch.randint(10, (count,), generator=made))

    return image_data(noise(samples), noise(val), None, class_names=tuple("0123456789"))
