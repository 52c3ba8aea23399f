"""torchvision imports beside any torch wheel, and its real operators are never replaced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(code: str) -> str:
    """What a fresh interpreter prints; torch's operators are global, so each case needs its own."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_models_and_transforms_work_after_the_import() -> None:
    printed = run(
        "from dlcore.torchvision_compat import import_torchvision\n"
        "import torch\n"
        "torchvision = import_torchvision()\n"
        "assert import_torchvision() is torchvision\n"
        "model = torchvision.models.resnet18(num_classes=3).eval()\n"
        "print(tuple(model(torch.zeros(1, 3, 32, 32)).shape))"
    )
    assert printed == "(1, 3)"


def test_operators_that_exist_are_left_alone() -> None:
    ask = "from dlcore.torchvision_compat import declare_missing_operators as d\nprint(len(d()))"
    if run(ask) == "0":
        pytest.skip("torchvision's own operators load beside this torch, so none can be made up")
    printed = run(
        "import torch\n"
        "real = torch.library.Library('torchvision', 'DEF')\n"
        "real.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "real.impl('nms', lambda dets, scores, threshold: scores + 1, 'CPU')\n"
        "from dlcore.torchvision_compat import declare_missing_operators\n"
        "assert 'nms' not in declare_missing_operators()\n"
        "print(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.ones(1), 0.5).item())"
    )
    assert printed == "2.0"


def test_importing_the_module_does_nothing() -> None:
    printed = run("import dlcore.torchvision_compat, sys\nprint('torch' in sys.modules)")
    assert printed == "False"


def test_declared_operators_have_no_kernel_and_are_declared_once() -> None:
    printed = run(
        "import torch\n"
        "from dlcore.torchvision_compat import declare_missing_operators\n"
        "missing = declare_missing_operators()\n"
        "for name in missing:\n"
        "    try:\n"
        "        getattr(torch.ops.torchvision, name)(torch.zeros(1, 4), torch.ones(1), 0.5)\n"
        "    except NotImplementedError:\n"
        "        continue\n"
        "    raise AssertionError(name)\n"
        "assert declare_missing_operators() == ()\n"
        "print(len(missing) in (0, 2))"
    )
    assert printed == "True"
