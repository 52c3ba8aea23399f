"""Looks inside a network as a worker writes them, made from a seed, and a run that something is wrong with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dlcore.run_dir import RunDir
from dlcore.series import SeriesWriter
from tests.tui.recorded import START, make_run

STEPS = (0, 46, 92, 138, 161)
REASONS = ("first", "best", "between", "best", "last")


def table(values: Any, **more: float) -> dict[str, Any]:
    values = np.asarray(values, dtype=np.float64)
    counts, _ = np.histogram(values, 24)
    return {
        "mean": float(values.mean()), "std": float(values.std()), "min": float(values.min()),
        "max": float(values.max()), "zeros": float((values == 0).mean()), "nonfinite": 0,
        "histogram": [int(count) for count in counts], **more,
    }  # fmt: skip


def write_look(run: RunDir, step: int, why: str) -> Path:
    """A convolution, a ReLU, attention over eight positions, and a head."""
    draw = np.random.default_rng(step)
    age = 1 + step / 100
    maps = draw.normal(0.1, 0.4, (4, 6, 8, 8)).astype(np.float32)
    y, x = np.mgrid[0:8, 0:8]
    for at in range(6):
        maps[:, at] += np.exp(-((x - at - 1) ** 2 + (y - 4) ** 2) / 6)[None]
    filters = draw.normal(0, 0.3, (6, 1, 3, 3)).astype(np.float32)
    head = draw.normal(0, 0.1, (10, 24)).astype(np.float32)
    logits = draw.normal(0, age, (4, 10)).astype(np.float32)
    looks = np.exp(draw.normal(0, age / 2, (4, 2, 8, 8)))
    attention = (looks / looks.sum(-1, keepdims=True)).astype(np.float32)
    kinds = [at % 4 for at in range(48)]
    plane = draw.normal(0, 0.5, (48, 2)) + [[2 * age * np.cos(k), 2 * age * np.sin(k * 2)] for k in kinds]
    arrays = {
        "000.activation": maps, "000.gradient": maps * 1e-3, "000.weight": filters,
        "001.activation": np.maximum(maps, 0), "002.activation": draw.normal(0, 1, (4, 8, 24)).astype(np.float32),
        "003.activation": logits, "003.weight": head,
        "filters": filters, "attention.0": attention, "embedding": plane.astype(np.float32),
    }  # fmt: skip

    def weights(values: Any, key: str, gradient: float) -> dict[str, Any]:
        norm = float(np.linalg.norm(values))
        of = table(np.asarray(values) * gradient, norm=gradient * norm)
        return {
            "name": key, "shape": list(values.shape), "weight": table(values, norm=norm), "gradient": of,
            "frozen": False, "tensor": key, "update": 1.2e-3 / age,
        }  # fmt: skip

    def row(
        key: str, path: str, kind: str, shape: list[int], parameters: dict[str, Any], **more: float
    ) -> dict[str, Any]:
        values = arrays[f"{key}.activation"]
        tensors = {what: f"{key}.{what}" for what in ("activation", "gradient") if f"{key}.{what}" in arrays}
        return {
            "path": path, "type": kind, "shape": shape, "activation": table(values, **more),
            "gradient": table(values * 1e-3, norm=0.02) if key != "001" else None, "tensors": tensors,
            "parameters": parameters,
        }  # fmt: skip

    layers = [
        row(
            "000",
            "features.0.conv",
            "Conv2d",
            [64, 6, 8, 8],
            {"weight": weights(filters, "000.weight", 0.02 / age)},
        ),
        row("001", "features.0.relu", "ReLU", [64, 6, 8, 8], {}, dead=0.25),
        row("002", "mixer.attention", "SelfAttention", [64, 8, 24], {}),
        row("003", "head", "Linear", [64, 10], {"weight": weights(head, "003.weight", 0.1)}),
    ]
    content = {
        "step": step, "epoch": step // 23, "why": why, "batch": 64, "shown": [0, 16, 32, 48], "layers": layers,
        "views": {
            "filters": {"layer": "features.0.conv", "array": "filters"},
            "attention": [{"layer": "mixer.attention", "array": "attention.0"}],
            "embedding": {"array": "embedding", "share": 0.71, "classes": kinds},
        },
    }  # fmt: skip
    path = run.inspections_path / f"step-{step:08d}.json"
    np.savez(path.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
    path.write_text(json.dumps(content))
    return path


def inspected_run(runs: Path, **how: Any) -> RunDir:
    """A recorded run that was looked into five times."""
    run = make_run(runs, **how)
    for step, why in zip(STEPS, REASONS, strict=True):
        write_look(run, step, why)
    return run


def ailing_run(runs: Path, **how: Any) -> RunDir:
    """One that overfits, is clipped always and waits for its data."""
    run = make_run(runs, **{"status": "stopped", **how})
    (run.metrics_path / "val.loss").unlink()
    steps = np.arange(1, 21) * 8
    writer = SeriesWriter(run.metrics_path)
    writer.append("val/loss", steps, START + steps, [1.0, 0.5, 0.3, *np.linspace(0.35, 0.9, 17)])
    for part, seconds in {"data": 9e-3, "forward": 1e-3, "backward": 2e-3, "optimizer": 5e-4}.items():
        writer.append(f"time/{part}", steps, START + steps, seconds)
    writer.close()
    about = json.loads(run.run_json_path.read_text())
    spec = {"target": "class", "num_outputs": 10, "class_names": [str(at) for at in range(10)]}
    run.write_json_atomic(
        "run.json", about | {"spec": spec, "choices": {"task": "classification (asked for)"}}, durable=False
    )
    return run
