"""The model card that goes with an exported file: what it is, how good, how it was made, how to load it."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlcore.deploy.curves import charts
from dlcore.deploy.exporting import Checked, format_of
from dlcore.preset import dump
from dlcore.text_safety import safe_text
from dlcore.trained import Trained
from dlcore.training.around import core_of

PREPARING = {
    "image": "Pixels are divided by `scale`, then each channel has its `mean` taken off and is divided by its `std`.",
    "standardise": "Each number has its `mean` taken off and is divided by its `std`.",
    "table": "Columns one after another. A number: less `mean`, over `std`, with `median` in place of a gap; where "
    "`indicator` is true a column of its own follows, 1 for a gap and else 0. A category: a column for each of "
    "`values`, 1 where it is that and else 0; one that is not listed is 0 in all.",
    "series": "The last `window` rows, oldest first: each column (the first one's logarithm where `log` is true) less "
    "its `mean`, over its `std`.",
    "environment": "States go in as the environment gives them, flattened.",
}
MOST_CHARTS = 2
MOST_TENSORS = 200
MOST_NAMES = 50


def write_card(trained: Trained, checked: Checked, to: str) -> list[Path]:
    """Write ``NAME.md`` beside the file, and ``NAME.METRIC.svg`` for each chart in it.

    Raises:
        OSError: the folder cannot be written.
    """
    stem = checked.path.name
    written = []
    pictures = {}
    for metric, svg in list(charts(trained.run.metrics_path).items())[:MOST_CHARTS]:
        slug = "".join(sign if sign.isalnum() else "-" for sign in metric)
        path = checked.path.with_name(f"{stem}.{slug}.svg")
        path.write_text(svg, "utf-8")
        pictures[metric] = path.name
        written.append(path)
    path = checked.path.with_name(f"{stem}.md")
    path.write_text(card(trained, checked, to, pictures), "utf-8")
    return [path, *written]


def card(trained: Trained, checked: Checked, to: str, pictures: dict[str, str]) -> str:
    """The card as Markdown.

    Args:
        pictures: file names of the charts, by what they measure.
    """
    preset, spec = trained.preset, trained.spec
    form = format_of(to)
    title = preset.about.title or f"{preset.model.name} on {preset.data.name}"
    digest = hashlib.sha256(checked.path.read_bytes()).hexdigest()
    facts = [
        ("file", f"`{checked.path.name}`, {checked.bytes:,} bytes"),
        ("SHA-256", f"`{digest}`"),
        ("format", f"{to}{f' ({form.deprecated})' if form.deprecated else ''}"),
        ("model", f"{_md(preset.model.name)}, {trained.parameters:,} parameters"),
        ("task", type(trained.task).__name__),
        ("trained in", f"run {_md(trained.run.name)}, epoch {trained.epoch}, step {trained.step:,}"),
        ("checked", _check(checked)),
        ("made with", f"torch {torch.__version__}, Python {platform.python_version()}"),
    ]
    parts = [
        f"# {_md(title)}",
        _md(preset.about.summary),
        _table(("", ""), facts),
        "## Load it",
        "```python\n" + "\n".join(form.usage(checked.path.name, example_inputs(trained))) + "\n```",
        "" if form.architecture else _tensors(trained),
        "## What goes in and comes out",
        _io(trained),
        "## How good it is",
        _metrics(trained),
        *(f"![{metric}]({name})" for metric, name in pictures.items()),
        "## Data",
        _data(trained),
        "## Preset",
        "```toml\n" + dump(preset).replace("```", "'''") + "```",
    ]
    if spec.preprocessing:
        told = PREPARING.get(str(spec.preprocessing.get("kind")), "")
        parts += ["## Preprocessing", told, "```json\n" + _short_json(spec.preprocessing) + "\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"


def example_inputs(trained: Trained) -> list[str]:
    """Python that makes one example of each argument."""
    _, inputs = trained.task.exported(_zeros(trained))
    made = []
    for tensor in inputs:
        shape = ", ".join(map(str, (1, *tensor.shape[1:])))
        made.append(
            f"torch.randn({shape})"
            if tensor.is_floating_point()
            else f"torch.zeros({shape}, dtype=torch.int64)"
        )
    return made


def _zeros(trained: Trained) -> Tensor:
    dtype = torch.int64 if trained.spec.input == "tokens" else torch.float32
    return torch.zeros((2, *trained.spec.input_shape), dtype=dtype)


def _check(checked: Checked) -> str:
    kind = "samples of its data" if checked.real else "made-up inputs"
    return (
        f"loaded in a fresh process; largest difference to the trained network on {checked.samples} {kind}: "
        f"{checked.difference:.2g} (allowed {checked.tolerance:.2g})"
    )


def _io(trained: Trained) -> str:
    spec = trained.spec
    kind = spec.preprocessing.get("kind", "none")
    shape = ", ".join(map(str, spec.input_shape))
    goes_in, comes_out = trained.task.exported_told()
    rows = [
        ("input", goes_in or f"{spec.input} of shape (batch, {shape}), {spec.input_dtype}"),
        ("preprocessing", f"{kind}, see below; the file expects inputs that went through it"),
        ("output", comes_out or _output(trained)),
    ]
    if goes_in:
        del rows[1]
    if spec.class_names:
        names = ", ".join(_md(name) for name in spec.class_names[:MOST_NAMES])
        rows.append(("classes", names + (", …" if len(spec.class_names) > MOST_NAMES else "")))
    return _table(("", ""), rows)


def _output(trained: Trained) -> str:
    spec = trained.spec
    units = trained.task.answer_units()
    if units:
        scale, offset = (", ".join(f"{value:.6g}" for value in units[key]) for key in ("scale", "offset"))
        then = "; then take the exponential" if units["log"] else ""
        return f"numbers on a standard scale: multiply by {scale}, then add {offset}{then}"
    return {
        "class": "logits (batch, classes); softmax makes them probabilities",
        "binary": "a logit (batch, 1); sigmoid makes it the probability of the second class",
        "mask": "logits (batch, classes, height, width)",
        "tokens": "logits (batch, time, vocabulary) of the next token",
    }.get(spec.target, "as the network gives them")


def _metrics(trained: Trained) -> str:
    metrics = trained.run.summary().metrics
    rows = [
        (_md(name), "not finite" if value is None else f"{value:.4g}")
        for name, value in sorted(metrics.items())
        if "/" in name
    ]
    return _table(("metric", "value"), rows) if rows else "No figures are recorded."


def _data(trained: Trained) -> str:
    options = {
        key: value for key, value in trained.preset.data.options.items() if value not in ("", [], None)
    }
    rows = [("name", _md(trained.preset.data.name))]
    rows += [(_md(key), f"`{_md(json.dumps(value))}`") for key, value in options.items()]
    return _table(("", ""), rows)


def _tensors(trained: Trained) -> str:
    network, _ = trained.task.exported(_zeros(trained))
    state = core_of(network).state_dict()
    rows = [
        (f"`{_md(name)}`", "×".join(map(str, value.shape)) or "1", str(value.dtype).removeprefix("torch."))
        for name, value in list(state.items())[:MOST_TENSORS]
    ]
    more = f"\n\nand {len(state) - MOST_TENSORS} more" if len(state) > MOST_TENSORS else ""
    return (
        "The file holds these tensors and no layers; `--to pt2` holds both.\n\n"
        + _table(("tensor", "shape", "type"), rows)
        + more
    )


def _table(header: tuple[str, ...], rows: list[Any]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def _md(text: object) -> str:
    """Text that Markdown shows as it is."""
    shown = safe_text(text, limit=300)
    for sign in "\\|<>*_`[]":
        shown = shown.replace(sign, "\\" + sign)
    return shown


def _short_json(value: dict[str, Any]) -> str:
    """Preprocessing with long lists, such as a vocabulary, cut: the file itself holds it whole."""

    def cut(item: Any) -> Any:
        if isinstance(item, dict):
            shown = {key: cut(entry) for key, entry in list(item.items())[:20]}
            return shown | ({"…": f"{len(item) - 20} more"} if len(item) > 20 else {})
        if isinstance(item, list):
            return [cut(entry) for entry in item[:20]] + (
                [f"… {len(item) - 20} more"] if len(item) > 20 else []
            )
        return item

    return json.dumps(cut(value), indent=1, ensure_ascii=False).replace("```", "'''")
