"""Oxford-IIIT pets with their masks: which pixels are the cat or dog?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from dlcore.data.augment_masks import MaskAugmentName
from dlcore.data.mask_folder import Cache, Masks, from_pairs
from dlcore.data.mask_pairs import Pair, Pairs
from dlcore.data.pictures import PictureSize
from dlcore.data.spec import Data, DataContext
from dlcore.data.torchvision_more import open_set
from dlcore.errors import UserError
from dlcore.fields import Fraction
from dlcore.registry import DATA

Side = Annotated[int, Field(ge=16, le=1024)]

LISTS = {"train": "trainval.txt", "test": "test.txt"}
EDGE = 3  # value of the pixels between pet and background, which the annotators left open


@DATA.register(group="images", input="image", target="mask", shape=(3, 128, 128), outputs=1)
def pet_masks(
    context: DataContext,
    *,
    image_size: Side = 128,
    val: Fraction = 0.1,
    augment: MaskAugmentName = "none",
    cache: Cache = "auto",
) -> Data:
    """Oxford-IIIT pets: 7,349 photos of 37 breeds of cats and dogs, with masks of the animals.

    Args:
        image_size: photos and masks are scaled to cover a square of so many pixels and cut at its centre.
        val: share of the 3,680 training photos held back to watch the training.
        augment: random change of training photos and their masks, new each epoch.
        cache: memory keeps all decoded photos, disk decodes them anew each time; auto takes what fits.
    """
    open_set("pets", "train", context)  # downloads it if need be
    folder = context.folder / "oxford-iiit-pet"
    found = Pairs(folder, {part: _listed(folder, name) for part, name in LISTS.items()})
    size = PictureSize(3, image_size, image_size)
    masks = Masks(("pet", "background"), ignore=EDGE)
    return from_pairs(found, size, masks, val=val, test=0.2, seed=context.seed, augment=augment, cache=cache)


def _listed(folder: Path, name: str) -> list[Pair]:
    try:
        lines = (folder / "annotations" / name).read_text().splitlines()
    except OSError as error:
        raise UserError(f"{folder / 'annotations' / name} cannot be read: {error.strerror}") from error
    ids = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    return [
        (folder / "images" / f"{id_}.jpg", folder / "annotations" / "trimaps" / f"{id_}.png") for id_ in ids
    ]
