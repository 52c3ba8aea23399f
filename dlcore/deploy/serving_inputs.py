"""What a request to the web service may hold, by the kind of a run's preprocessing: JSON to model inputs."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlcore.data.pictures import PictureSize, read_picture_bytes
from dlcore.data.preprocess import preprocess
from dlcore.data.series import standardised
from dlcore.errors import UserError
from dlcore.trained import Trained
from dlcore.training.task import Task
from dlcore.vocabulary import from_plain


def decoder_of(trained: Trained) -> Callable[[Any], Tensor]:
    """What makes a model input of one value of JSON, by the kind of preprocessing.

    Raises:
        UserError: such inputs cannot be sent, or the run's task has no answer to them.
    """
    if type(trained.task).answers is Task.answers:
        raise UserError(
            f"task {type(trained.task).__name__} has no answer to an input, so it cannot be served"
        )
    facts = trained.spec.preprocessing
    makers: dict[str, Callable[[Trained], Callable[[Any], Tensor]]] = {
        "image": _pictures, "table": _rows, "standardise": _numbers, "environment": _states, "series": _windows,
        "text": _texts,
    }  # fmt: skip
    kind = str(facts.get("kind", "none"))
    if kind not in makers:
        raise UserError(
            f"a run whose preprocessing is '{kind}' cannot be served (known: {', '.join(makers)})"
        )
    return makers[kind](trained)


def _pictures(trained: Trained) -> Callable[[Any], Tensor]:
    facts = trained.spec.preprocessing
    size = PictureSize.of(facts)

    def decode(value: Any) -> Tensor:
        if not isinstance(value, str):
            raise ValueError("must be a picture file in base64")
        try:
            file = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError("must be a picture file in base64") from None
        pixels = read_picture_bytes(io.BytesIO(file), size).float() * (float(facts["scale"]) / 255)
        return preprocess(facts, pixels[None])[0]

    return decode


def _rows(trained: Trained) -> Callable[[Any], Tensor]:
    facts = trained.spec.preprocessing

    def decode(value: Any) -> Tensor:
        if not isinstance(value, dict):
            raise ValueError("must be an object with a value for each column")
        if any(isinstance(cell, dict | list) for cell in value.values()):
            raise ValueError("values must be texts or numbers")
        return preprocess(facts, [value])[0]

    return decode


def _numbers(trained: Trained) -> Callable[[Any], Tensor]:
    listed = _listed(trained)
    return lambda value: preprocess(trained.spec.preprocessing, [listed(value)])[0]


def _states(trained: Trained) -> Callable[[Any], Tensor]:
    listed = _listed(trained)
    return lambda value: torch.tensor(listed(value), dtype=torch.float32)


def _listed(trained: Trained) -> Callable[[Any], list[float]]:
    """As many numbers as the network wants, also by their names."""
    spec = trained.spec
    (count,) = spec.input_shape

    def decode(value: Any) -> list[float]:
        if isinstance(value, dict):
            missing = [name for name in spec.feature_names if name not in value]
            if missing:
                raise ValueError(f"lacks {', '.join(missing[:5])}")
            value = [value[name] for name in spec.feature_names]
        if not (_are_numbers(value) and len(value) == count):
            raise ValueError(f"must be {count} numbers")
        return value

    return decode


def _are_numbers(value: Any) -> bool:
    """A list of finite numbers."""
    return isinstance(value, list) and all(
        type(each) in (int, float) and math.isfinite(each) for each in value
    )


def _windows(trained: Trained) -> Callable[[Any], Tensor]:
    """Rows of a series, the newest last; of a single column the numbers alone."""
    window, features = trained.spec.input_shape

    def decode(value: Any) -> Tensor:
        if features == 1 and _are_numbers(value):
            value = [[each] for each in value]
        rows = value[-window:] if isinstance(value, list) else []
        if len(rows) < window or not all(_are_numbers(row) and len(row) == features for row in rows):
            names = ", ".join(trained.spec.preprocessing["columns"])
            raise ValueError(f"must be {window} rows or more of {features} numbers each: {names}")
        return torch.from_numpy(standardised(trained.spec.preprocessing, np.array(rows, np.float64)))

    return decode


def _texts(trained: Trained) -> Callable[[Any], Tensor]:
    spec = trained.spec
    tokenizer = from_plain(spec.preprocessing["tokenizer"])

    def decode(value: Any) -> Tensor:
        if not isinstance(value, str) or not value.strip():
            raise ValueError("must be a text")
        ids = tokenizer.encode(value)[: spec.input_shape[0]]
        inputs = torch.full(spec.input_shape, spec.pad_id or 0, dtype=torch.int64)
        inputs[: len(ids)] = torch.tensor(ids)
        return inputs

    return decode


def example_of(trained: Trained) -> Any:
    """A body that would be answered, to start from."""
    facts = trained.spec.preprocessing
    kind = facts.get("kind")
    if kind == "image":
        return {"input": "<a picture file in base64>"}
    if kind == "table":
        cells = {
            column["name"]: column["median"] if column["type"] == "number" else column["values"][0]
            for column in facts["columns"]
        }
        return {"input": cells}
    if kind == "standardise":
        return {"input": [round(value, 4) for value in facts["mean"]]}
    if kind == "environment":
        return {"input": [0.0] * trained.spec.input_shape[0]}
    if kind == "series":
        usual = [math.exp(mean) if facts["log"] and not at else mean for at, mean in enumerate(facts["mean"])]
        return {"input": [[round(value, 4) for value in usual]] * facts["window"]}
    return {"input": "some text"}
