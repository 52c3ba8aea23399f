"""The tracer against torchinfo and torch's FLOP counter, over torchvision's networks.

A few in the plain run, all classification, segmentation and video networks with ``-m slow``.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dlcore.inspection.input_text import parse_inputs
from dlcore.inspection.meta_building import build_on_meta
from dlcore.inspection.nested import tensors_in
from dlcore.inspection.shapes import Options, Trace, trace
from dlcore.inspection.subjects import usual_input
from dlcore.torchvision_compat import import_torchvision

torchinfo = pytest.importorskip("torchinfo")
BATCH = 2


def names() -> list[str]:
    models = import_torchvision().models
    modules = (models, models.segmentation, models.video)
    return [name for module in modules for name in models.list_models(module=module)]


FEW = [
    "squeezenet1_1",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "googlenet",
    "lraspp_mobilenet_v3_large",
    "r3d_18",
]
EVERY = [pytest.param(name, marks=[] if name in FEW else pytest.mark.slow) for name in names()]


def built(name: str) -> nn.Module:
    """The network on the meta device: neither memory nor time for first weights."""
    models = import_torchvision().models
    extra: dict[str, Any] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    if name in models.list_models(module=models.segmentation):
        extra["weights_backbone"] = None
    model = build_on_meta(lambda: models.get_model(name, weights=None, **extra)).eval()
    layers = [layer for layer in model.modules() if not list(layer.children())]
    assert all(parameter.is_meta for layer in layers for parameter in layer.parameters())
    return model.to("meta")


def traced(name: str) -> tuple[nn.Module, torch.Tensor, Trace]:
    given = parse_inputs([usual_input(name)]).resized(BATCH)
    model, inputs = built(name), given.args[0]
    result = trace(model, given.call, options=Options(training=False))
    assert result.failure is None, result.failure
    return model, inputs, result


@pytest.mark.parametrize("name", EVERY)
def test_flops_and_outputs_are_those_of_torchs_own_counter(name: str) -> None:
    model, inputs, result = traced(name)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        outputs = model(inputs)
    assert result.flops == counter.get_total_flops()
    assert [tensor.shape for tensor in result.outputs] == [tuple(each.shape) for each in tensors_in(outputs)]


@pytest.mark.parametrize("name", EVERY)
def test_parameters_and_layers_are_those_of_torchinfo(name: str) -> None:
    model, inputs, result = traced(name)
    summary = torchinfo.summary(
        model, input_data=inputs, device="meta", depth=99, verbose=0, cache_forward_pass=False, mode="eval"
    )
    assert result.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert result.trainable_parameters == summary.trainable_params or summary.total_params < result.parameters
    # torchinfo's own total leaves out what modules hold beside their layers, such as a class token.
    theirs: dict[int, list[tuple[int, ...]]] = {}
    for info in summary.summary_list:
        theirs.setdefault(info.layer_id, []).append(tuple(info.output_size))
    for row in result.rows:
        if row.leaf and len(row.outputs) == 1:
            layer = model.get_submodule(row.path)
            assert row.outputs[0].shape in theirs[id(layer)], row.path
