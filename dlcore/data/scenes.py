"""Scenes to segment, made of real handwriting: scikit-learn's digits on textured ground; nothing is downloaded.

The digits of the validation and test scenes are written by hands that the training scenes never show.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch.nn.functional import interpolate

from dlcore.data.augment_masks import MaskAugmentName
from dlcore.data.mask_parts import Masked, masked_images
from dlcore.data.seeding import derived_seed
from dlcore.data.spec import Data, DataContext
from dlcore.data.splits import split
from dlcore.errors import UserError
from dlcore.fields import Count, Fraction
from dlcore.registry import DATA

Size = Annotated[int, Field(ge=24, le=512)]
Floats = NDArray[np.float32]

SIDE = 16  # pixels of a digit, twice what it is stored in
INK = 0.35  # share of ink from which a pixel counts as the digit's
WAVES = 5  # that a ground is made of
TRIES = 12  # to find a free place for a digit


@DATA.register(group="bundled", input="image", target="mask", shape=(1, 48, 48), outputs=11)
def scenes(
    context: DataContext,
    *,
    samples: Count = 2000,
    size: Size = 48,
    digits: Count = 4,
    noise: Fraction = 0.08,
    val: Fraction = 0.1,
    test: Fraction = 0.2,
    augment: MaskAugmentName = "none",
) -> Data:
    """Scenes: real handwritten digits on textured ground; which pixel belongs to which digit?

    Args:
        samples: scenes in all parts together.
        size: side of a scene in pixels.
        digits: most digits in a scene; each has at least one.
        noise: how grainy the scenes are.
        val: share of the scenes, and of the digits to make them of, held back to watch the training.
        test: share held back for the final figure.
        augment: random change of training scenes and their masks, new each epoch.
    """
    from sklearn.datasets import load_digits  # about a second: only who asks for these pays

    bunch = load_digits()
    small = torch.from_numpy(bunch.images.astype(np.float32) / 16)[:, None]
    drawn = interpolate(small, scale_factor=SIDE / 8, mode="bilinear")[:, 0].numpy()  # (1797, SIDE, SIDE)
    codes = bunch.target.astype(np.int64)
    hands = split(len(codes), val=val, test=test, seed=context.seed, labels=codes)
    counts = split(samples, val=val, test=test, seed=context.seed)
    parts = {}
    for name in ("train", "val", "test"):
        rows, count = getattr(hands, name), len(getattr(counts, name))
        rng = np.random.default_rng(derived_seed(context.seed, f"scenes {name}"))
        parts[name] = make_scenes(rng, drawn[rows], codes[rows], count, size=size, most=digits, noise=noise)
    if not len(parts["val"].images):
        raise UserError("data.val leaves no scenes to watch the training by; try data.val = 0.1")
    names = ["background", *(str(name) for name in bunch.target_names)]
    return masked_images(parts["train"], parts["val"], parts["test"], class_names=names, augment=augment)


def make_scenes(
    rng: np.random.Generator,
    drawn: Floats,
    codes: NDArray[np.int64],
    count: int,
    *,
    size: int,
    most: int,
    noise: float,
) -> Masked:
    """Scenes of these digits (digits, SIDE, SIDE), whose classes are ``codes``; class 0 is the ground."""
    pictures = make_grounds(rng, count, size)
    masks = np.zeros((count, size, size), np.int64)
    for picture, mask in zip(pictures, masks, strict=True):
        for _ in range(int(rng.integers(1, most + 1))):
            place = _free_place(rng, mask)
            if place is not None:
                which = int(rng.integers(len(codes)))
                ink, there = (
                    drawn[which],
                    (slice(place[0], place[0] + SIDE), slice(place[1], place[1] + SIDE)),
                )
                picture[there] += (rng.uniform(0.75, 1.0) - picture[there]) * ink
                mask[there][ink > INK] = codes[which] + 1
    pictures += rng.normal(0, noise, pictures.shape) if noise else 0
    pixels = (pictures.clip(0, 1) * 255).round().astype(np.uint8)
    return Masked(torch.from_numpy(pixels)[:, None], torch.from_numpy(masks))


def make_grounds(rng: np.random.Generator, count: int, size: int) -> Floats:
    """Sums of waves of random direction, length and phase, (count, size, size), from dark to half bright."""
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / SIDE
    grounds = np.zeros((count, size, size), np.float32)
    for _ in range(WAVES):
        angle, phase = rng.uniform(0, 2 * np.pi, (2, count, 1, 1)).astype(np.float32)
        length = rng.uniform(2, 12, (count, 1, 1)).astype(np.float32)
        grounds += np.sin((np.cos(angle) * rows + np.sin(angle) * columns) * length + phase)
    return 0.3 + grounds * (0.3 / WAVES)


def _free_place(rng: np.random.Generator, mask: NDArray[np.int64]) -> tuple[int, int] | None:
    """Top and left of a square where no digit is yet; None where none is found quickly."""
    for _ in range(TRIES):
        top, left = (int(value) for value in rng.integers(0, len(mask) - SIDE + 1, 2))
        if not mask[top : top + SIDE, left : left + SIDE].any():
            return top, left
    return None
