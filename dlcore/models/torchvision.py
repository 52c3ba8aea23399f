"""torchvision's classifiers: the field's well-known networks, with an output layer for the data at hand.

They keep torchvision's names of layers, so that its weights load: ``weights = "imagenet"`` starts from what was
learnt on 1.3 million photos.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.problems import nearest, show
from dlcore.registry import MODELS
from dlcore.torchvision_compat import import_torchvision

EXTRA: dict[str, dict[str, Any]] = {  # a second output, to train by, would be a second loss
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


@MODELS.register(group="images", inputs=("image",), targets=("class", "binary", "number"))
def torchvision(spec: DataSpec, *, architecture: str = "resnet18") -> nn.Module:
    """Any of torchvision's classifiers by its name, such as resnet50 or efficientnet_b0.

    Args:
        architecture: resnet18, resnet50, efficientnet_b0, mobilenet_v3_small, convnext_tiny, vit_b_16 and 70 more.

    Raises:
        UserError: there is no such network, or it cannot be built for images of this size.
    """
    models = import_torchvision().models
    known = models.list_models(module=models)
    if architecture not in known:
        close = nearest(architecture, known)
        hint = f"did you mean '{close}'?" if close else f"torchvision has {', '.join(known[::6])} and others"
        raise UserError(f"model.architecture: there is no {show(architecture)}; {hint}")
    try:
        model: nn.Module = models.get_model(
            architecture,
            weights=None,
            num_classes=spec.num_outputs,
            **EXTRA.get(architecture, {}),
            **sized(architecture, spec),
        )
    except ValueError as error:  # sizes that the patches or windows do not divide
        raise UserError(f"{architecture} cannot be built for these images: {error}") from error
    see_channels(model, spec.input_shape[0])
    weights = models.get_model_weights(architecture)
    model.published = {"imagenet": weights.DEFAULT.url}  # type: ignore[assignment]
    return model


def sized(architecture: str, spec: DataSpec) -> dict[str, Any]:
    """What a network needs to know of the images' size; most need nothing.

    Raises:
        UserError: a vision transformer wants square images that its patches divide.
    """
    _, height, width = spec.input_shape
    if architecture.startswith("maxvit"):
        return {"input_size": (height, width)}
    if not architecture.startswith("vit_"):
        return {}
    patch = int(architecture.rpartition("_")[2])
    if height != width or height % patch:
        raise UserError(
            f"{architecture} wants square images with sides that {patch} divides, these have {height}×{width}: "
            f"set data.image_size to {max(1, round(height / patch)) * patch}"
        )
    return {"image_size": height}


def see_channels(model: nn.Module, channels: int) -> None:
    """Let the first convolution take images of so many channels; torchvision's are made for three."""
    if channels == 3:
        return
    path, first = next((p, m) for p, m in model.named_modules() if isinstance(m, nn.Conv2d))
    changed = nn.Conv2d(
        channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        stride=first.stride,  # type: ignore[arg-type]
        padding=first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    model.set_submodule(path, changed)
