"""Residual networks: the paper's sizes, published weights, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.registry import MODELS

CIFAR = DataSpec("image", (3, 32, 32), "class", 10)


def build(spec: DataSpec = CIFAR, **options: Any) -> nn.Module:
    return MODELS.build("resnet", spec, **options)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("blocks_per_stage", "millions"), [(3, 0.27), (5, 0.46), (7, 0.66), (9, 0.85), (18, 1.7)]
)
def test_sizes_of_the_papers_table_6(blocks_per_stage: int, millions: float) -> None:
    with torch.device("meta"):
        model = build(blocks_per_stage=blocks_per_stage)
    assert count(model) / 1e6 == pytest.approx(millions, abs=0.05 if millions > 1 else 0.005)


def test_resnet_20_has_269_722_parameters_and_20_layers_with_weights() -> None:
    model = build()
    assert count(model) == 269_722
    assert sum(isinstance(module, nn.Conv2d | nn.Linear) for module in model.modules()) == 20


def test_the_published_weights_fit_by_name(real_data: Path) -> None:
    saved = torch.load(
        real_data / "pretrained" / "resnet20-12fca82f.th", map_location="cpu", weights_only=True
    )
    weights = {name.removeprefix("module."): tensor for name, tensor in saved["state_dict"].items()}
    build().load_state_dict(weights, strict=True)


def written_out(weights: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """ResNet-20 with shortcut A in evaluation, straight from the paper, on a state dict."""

    def conv_norm(x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        x = F.conv2d(x, weights[f"{conv}.weight"], stride=stride, padding=1)
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + 1e-5).sqrt()
        x = x - weights[f"{norm}.running_mean"][:, None, None]
        return x * scale[:, None, None] + weights[f"{norm}.bias"][:, None, None]

    x = conv_norm(inputs, "conv1", "bn1").relu()
    for stage in (1, 2, 3):
        for number in range(3):
            block, stride = f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1
            y = conv_norm(x, f"{block}.conv1", f"{block}.bn1", stride).relu()
            y = conv_norm(y, f"{block}.conv2", f"{block}.bn2")
            x = x[:, :, ::stride, ::stride]
            quarter = torch.zeros(len(x), (y.shape[1] - x.shape[1]) // 2, *x.shape[2:])
            x = (y + torch.cat([quarter, x, quarter], dim=1)).relu()
    return x.mean(dim=(2, 3)) @ weights["linear.weight"].T + weights["linear.bias"]


def test_equal_to_the_paper_written_out() -> None:
    torch.manual_seed(0)
    model, inputs = build(), torch.randn(4, 3, 32, 32)
    model.train()(inputs)  # running averages that are not the initial ones
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(inputs), written_out(model.state_dict(), inputs))


def test_shortcut_b_learns_a_projection_where_stages_widen() -> None:
    with_b, with_a = build(shortcut="B"), build()
    projections = (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
    assert count(with_b) == count(with_a) + projections


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 33, 21), (1, 1, 1), (4, 64, 64)])
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_any_image_size(shape: tuple[int, ...], shortcut: str) -> None:
    spec = DataSpec("image", shape, "class", 10)
    assert build(spec, shortcut=shortcut)(torch.randn(4, *shape)).shape == (4, 10)


@pytest.mark.parametrize("widths", [(8,), (8, 8), (5, 12, 13, 40)])
def test_any_number_of_stages(widths: tuple[int, ...]) -> None:
    model = build(widths=widths, blocks_per_stage=2)
    assert len(model.blocks) == 2 * len(widths)
    assert model(torch.randn(2, 3, 16, 16)).shape == (2, 10)


def test_convolutions_start_with_he_weights() -> None:
    torch.manual_seed(0)
    weight = build().layer3[2].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"widths": ()}, "widths is empty"), ({"widths": (32, 16)}, 'or use shortcut = "B"')],
)
def test_impossible_stages_are_one_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        build(**options)
    (line,) = error.value.lines
    assert said in line


def test_narrowing_stages_work_with_shortcut_b() -> None:
    assert build(widths=(32, 16), shortcut="B")(torch.randn(2, 3, 8, 8)).shape == (2, 10)
