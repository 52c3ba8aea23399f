"""Images with masks: a change moves both alike, scenes are made of real digits, facts are those of the masks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dlcore.data.augment_masks import Turn, mask_augmentation
from dlcore.data.batches import Batches
from dlcore.data.mask_parts import Masked, masked_images
from dlcore.data.spec import NOT_JUDGED, DataContext, TensorPart
from dlcore.registry import DATA

CHANGES = ["shift", "flip", "resized-crop", "turn", "elastic"]


def stripes(size: int = 32) -> Masked:
    """Images whose brightness says the class, in broad stripes and blocks."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    masks = torch.stack([rows // 8 % 3, columns // 8 % 3, (rows // 16 + columns // 16) % 3])
    return Masked((masks * 100).byte()[:, None], masks)


@pytest.mark.parametrize("name", CHANGES)
def test_a_pixel_takes_its_class_along(name: str) -> None:
    data = masked_images(stripes(), stripes(), None, class_names="abc", augment=name)  # type: ignore[arg-type]
    facts = data.spec.preprocessing
    changed = 0
    for epoch in range(4):
        batches = Batches(data.train, 3, seed=1, device="cpu", shuffle=True, train=True)
        (batch,) = batches.epoch(epoch)
        bright = (batch.inputs[:, 0] * facts["std"][0] + facts["mean"][0]) * 255
        agree = (bright - batch.targets * 100).abs() < 1  # but for pixels between two classes
        assert agree.float().mean() > 0.75
        assert batch.targets.dtype == torch.int64 and set(batch.targets.unique().tolist()) <= {0, 1, 2}
        changed += int(not torch.equal(batch.targets, stripes().masks[batch.index]))
    assert changed >= 2


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_sample_undergoes_does_not_depend_on_its_batch(name: str) -> None:
    data = masked_images(stripes(), stripes(), None, class_names="abc", augment=name)  # type: ignore[arg-type]
    (whole,) = Batches(data.train, 3, seed=1, device="cpu", shuffle=False, train=True).epoch(2)
    single = list(Batches(data.train, 1, seed=1, device="cpu", shuffle=False, train=True).epoch(2))
    assert torch.equal(torch.cat([batch.targets for batch in single]), whole.targets)
    torch.testing.assert_close(torch.cat([batch.inputs for batch in single]), whole.inputs)


def test_held_back_masks_stay_as_they_are() -> None:
    data = masked_images(stripes(), stripes(), None, class_names="abc", augment="turn")
    (batch,) = Batches(data.val, 3, seed=1, device="cpu", shuffle=False, train=False).epoch(0)
    assert torch.equal(batch.targets, stripes().masks)


def test_all_eight_ways_to_lay_a_square_down() -> None:
    image = torch.arange(9.0).view(1, 1, 3, 3).expand(8, -1, -1, -1)
    turned = Turn().apply(image, {"turn": torch.arange(8)})
    assert len({tuple(picture.flatten().tolist()) for picture in turned}) == 8


def test_pixels_that_are_not_judged_stay_so_and_do_not_count() -> None:
    part = stripes()
    part.masks[:, :4] = NOT_JUDGED
    data = masked_images(part, stripes(), None, class_names="abc", augment="elastic")
    assert sum(data.spec.class_counts) == 3 * 28 * 32
    assert isinstance(data.train, TensorPart)
    (batch,) = Batches(data.train, 3, seed=1, device="cpu", shuffle=False, train=True).epoch(0)
    assert set(batch.targets.unique().tolist()) <= {0, 1, 2, NOT_JUDGED}
    assert (batch.targets == NOT_JUDGED).any()


def test_two_classes_are_a_yes_no_question() -> None:
    part = Masked(stripes().images, stripes().masks.clamp(max=1))
    assert masked_images(part, part, None, class_names=("a", "b")).spec.num_outputs == 1
    assert mask_augmentation("none", 32) is None


def test_scenes_show_digits_where_the_mask_says() -> None:
    data = DATA.build("scenes", DataContext(Path("nowhere")), samples=60, noise=0.0)
    assert isinstance(data.train, TensorPart)
    images, masks = data.train.inputs[:, 0].float() / 255, data.train.targets
    assert images[masks > 0].mean() > 0.6 > 0.4 > images[masks == 0].mean()
    digits = [len(mask.unique()) - 1 for mask in masks]
    assert min(digits) >= 1 and max(digits) > 1
    assert data.spec.class_names[0] == "background" and data.spec.num_outputs == 11


def test_scenes_of_another_size() -> None:
    data = DATA.build("scenes", DataContext(Path("nowhere")), samples=20, size=31, digits=1)
    assert data.spec.input_shape == (1, 31, 31)
    assert [len(part) for part in (data.train, data.val, data.test)] == [14, 2, 4]  # type: ignore[arg-type]
