"""ONNX: the network for onnxruntime and everything else that reads it, with the preprocessing described inside."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from dlcore.deploy.exporting import FORMATS, Arrays, Format, Options, Subject, flat
from dlcore.deploy.tracing import example, sizes
from dlcore.errors import UserError

OPSET = 18


@FORMATS.register("onnx")
class Onnx(Format):
    """ONNX, run by onnxruntime on nearly anything; needs the extra dltui[export]."""

    suffix = ".onnx"
    int8 = True

    def write(self, subject: Subject, path: Path, options: Options) -> None:
        """By PyTorch's exporter; metadata keys start with ``dltui.``."""
        onnx = _package("onnx")
        _package("onnxscript")  # torch's exporter needs it
        raw = path.with_name(f"{path.name}.raw")
        try:
            with _silent():
                _export(subject, raw, options)
                if options.int8:
                    _shrink(raw)
            model = onnx.load(str(raw))
            for key, value in subject.facts.items():
                entry = model.metadata_props.add()
                entry.key = f"dltui.{key}"
                entry.value = value if isinstance(value, str) else json.dumps(value)
            onnx.save(model, str(path))
        finally:
            raw.unlink(missing_ok=True)

    def ask(self, path: Path, inputs: Arrays, hints: dict[str, str]) -> Arrays:
        """By onnxruntime alone."""
        runtime = _package("onnxruntime")
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        feeds = {slot.name: array for slot, array in zip(session.get_inputs(), inputs, strict=True)}
        answers: Arrays = session.run(None, feeds)
        return answers

    def usage(self, file: str, inputs: list[str]) -> list[str]:
        """No PyTorch needed but for the example input."""
        names = _numbered("input", len(inputs))
        feeds = ", ".join(f'"{name}": {made}.numpy()' for name, made in zip(names, inputs, strict=True))
        return [
            "import onnxruntime, torch",
            f'session = onnxruntime.InferenceSession("{file}")',
            f"outputs = session.run(None, {{{feeds}}})",
            'print(session.get_modelmeta().custom_metadata_map["dltui.preprocessing"])',
        ]


def _export(subject: Subject, path: Path, options: Options) -> None:
    inputs = example(subject, options)
    with torch.no_grad():
        count = len(flat(subject.network(*inputs)))
    torch.onnx.export(
        subject.network,
        inputs,
        str(path),
        input_names=_numbered("input", len(inputs)),
        output_names=_numbered("output", count),
        dynamic_shapes=sizes(subject) if options.dynamic else None,
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _shrink(path: Path) -> None:
    """Eight-bit weights in place of the file's own; activations are measured as they come."""
    onnx, quantization = _package("onnx"), _package("onnxruntime.quantization")
    model = onnx.load(str(path))
    # The quantizer infers shapes anew and stumbles over those of the weights that it transposes.
    del model.graph.value_info[:]
    onnx.save(model, str(path))
    small = path.with_name(f"{path.name}.int8")
    try:
        quantization.quantize_dynamic(path, small, weight_type=quantization.QuantType.QInt8)
        small.replace(path)
    finally:
        small.unlink(missing_ok=True)


def _numbered(name: str, count: int) -> list[str]:
    """``input``, ``input_1``, ``input_2``, ..."""
    return [f"{name}_{at}" if at else name for at in range(count)]


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"ONNX needs the package {error.name}: pip install 'dltui[export]'") from error


@contextlib.contextmanager
def _silent() -> Any:
    """The exporters talk a lot; what matters of it is found by the check."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
