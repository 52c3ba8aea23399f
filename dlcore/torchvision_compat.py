"""The one door to torchvision, which opens beside any torch wheel.

torchvision's wheel on the package index is built for a CUDA torch. Beside a CPU-only one its compiled
library does not load, the operators it would define are missing, and a plain ``import torchvision`` stops at
registering a Python function for ``torchvision::nms``. Models, transforms and data sets need none of these
operators, so declaring the missing schemas before the import is all it takes; calling one still fails, as it
should.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
"""Operators that torchvision's own Python code refers to while it is imported."""

EXTENSION_SUFFIXES = (".so", ".pyd", ".dylib")

_declared: list[Any] = []  # a torch.library.Library takes its operators along when it dies


def import_torchvision() -> ModuleType:
    """torchvision, imported now if it was not yet (about a second).

    With a compiled library that loads, nothing is declared and its operators are used. Safe to call again.

    Raises:
        ImportError: torchvision is not installed.
    """
    if "torchvision" in sys.modules:
        return sys.modules["torchvision"]
    declare_missing_operators()
    with warnings.catch_warnings():  # it warns of the library that does not load, which is what we expect
        warnings.filterwarnings("ignore", message="Failed to load image Python extension")
        return importlib.import_module("torchvision")


def declare_missing_operators() -> tuple[str, ...]:
    """Declare what torchvision's compiled library does not define, and name it.

    The library is loaded first, as torchvision itself would a moment later (loading it twice is harmless):
    only then is it known which operators are missing, and none is ever defined twice.
    """
    import torch

    _load_compiled_library()
    missing = tuple(name for name in SCHEMAS if not hasattr(torch.ops.torchvision, name))
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        _declared.append(library)
        for name in missing:
            library.define(SCHEMAS[name])  # type: ignore[no-untyped-call]
    return missing


def _load_compiled_library() -> None:
    import torch

    spec = importlib.util.find_spec("torchvision")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for path in sorted(Path(folder).glob("_C*")):
            if path.suffix in EXTENSION_SUFFIXES:
                with contextlib.suppress(OSError, RuntimeError):  # built for another torch
                    torch.ops.load_library(str(path))  # type: ignore[no-untyped-call]
