"""torchvision's classifiers with an output layer and input channels for the data at hand."""

from __future__ import annotations

import pytest
import torch

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.registry import MODELS
from dlcore.torchvision_compat import import_torchvision

MODULE = import_torchvision().models
NAMES = MODULE.list_models(module=MODULE)
SIDE = {"inception_v3": 299, "vit_h_14": 518}
FAMILIES = {
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3",
    "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "resnet18", "resnext50_32x4d",
    "shufflenet_v2_x0_5", "squeezenet1_0", "swin_t", "swin_v2_t", "vgg11", "vit_b_16", "wide_resnet50_2",
}  # fmt: skip
EACH = [
    pytest.param(name, marks=() if name in FAMILIES else pytest.mark.slow)
    for name in NAMES
    if not name.startswith("regnet")
    or name.endswith("mf")  # built for real, since they read numbers: small ones
]


def spec(channels: int = 3, side: int = 224, outputs: int = 7) -> DataSpec:
    return DataSpec("image", (channels, side, side), "class", outputs)


def test_the_families_are_known() -> None:
    assert set(NAMES) >= FAMILIES


@pytest.mark.parametrize("architecture", EACH)
def test_every_architecture_builds_for_grey_images_and_answers_each_class(architecture: str) -> None:
    side = SIDE.get(architecture, 224)
    with torch.device("cpu" if architecture.startswith("regnet") else "meta"):
        model = MODELS.build("torchvision", spec(1, side), architecture=architecture)
    model.to("meta").eval()
    assert model(torch.empty(2, 1, side, side, device="meta")).shape == (2, 7)
    assert model.published["imagenet"].startswith("https://download.pytorch.org/models/")


def test_resnet18_is_torchvisions_own_layer_by_layer() -> None:
    torch.manual_seed(0)
    ours = MODELS.build("torchvision", spec(outputs=1000)).eval()
    theirs = MODULE.resnet18(weights=None).eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(ours(images), theirs(images))


def test_an_unknown_architecture_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'resnet50'") as error:
        MODELS.build("torchvision", spec(), architecture="resnet5O")
    assert len(error.value.lines) == 1


@pytest.mark.parametrize(("architecture", "side"), [("vit_b_16", 100), ("maxvit_t", 50)])
def test_sizes_that_do_not_fit_are_one_sentence(architecture: str, side: int) -> None:
    with pytest.raises(UserError, match=architecture) as error:
        MODELS.build("torchvision", spec(side=side), architecture=architecture)
    assert len(error.value.lines) == 1
