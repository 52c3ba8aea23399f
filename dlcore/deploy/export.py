"""A trained network as a file for use elsewhere, which is kept only if it answers like the network.

The file is written under another name, loaded again in a fresh process, asked about real samples, and compared;
only then it takes its own name. A model card goes with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import dlcore
from dlcore.data.batches import Batches
from dlcore.deploy.exporting import FORMATS, Checked, Options, Subject, flat, format_of
from dlcore.errors import UserError
from dlcore.trained import Trained
from dlcore.user_code import one_line

SAMPLES = 16
TOLERANCE = 1e-4
"""Of the largest answer: float32 sums in another order differ by a few times 1e-6."""

INT8_TOLERANCE = 0.1
TIMEOUT = 600.0  # seconds for the fresh process


def export(trained: Trained, to: str, out: Path, options: Options) -> Checked:
    """Write, load in a fresh process, compare, and keep or throw away.

    Args:
        trained: on the CPU.
        to: a registered format.

    Raises:
        UserError: the format cannot hold this network, or its answers differ; nothing is left.
    """
    form = format_of(to)
    if options.int8 and not form.int8:
        able = [name for name in FORMATS.names() if format_of(name).int8]
        raise UserError(f"--int8 goes with --to {' or '.join(able)}, not with {to}")
    subject, real = describe(trained)
    notes = [] if real else ["compared on made-up inputs, since the data cannot be had any more"]
    if form.deprecated:
        notes.append(form.deprecated)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.part{form.suffix}")
    try:
        try:
            form.write(subject, temporary, options)
        except UserError:
            raise
        except OSError as error:
            raise UserError(f"cannot write {out}: {error.strerror or error}") from error
        except Exception as error:  # exporters raise whatever they stumble over
            raise UserError(f"this network cannot be written as {to}: {one_line(error)}") from error
        difference, largest = compare(subject, to, temporary, options)
        tolerance = (INT8_TOLERANCE if options.int8 else TOLERANCE) * max(1.0, largest)
        if not difference <= tolerance:
            raise UserError(
                f"the {to} file does not answer like the network: they differ by up to {difference:.3g}, "
                f"more than {tolerance:.3g}; it was not kept"
            )
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return Checked(out, out.stat().st_size, difference, tolerance, len(subject.inputs[0]), real, tuple(notes))


def describe(trained: Trained) -> tuple[Subject, bool]:
    """What is exported, with real samples where the data can still be had; and whether they are real."""
    spec = trained.spec
    try:
        data = trained.data()
        part = data.test if data.test is not None and len(data.test) else data.val
        batches = Batches(part, SAMPLES, seed=0, device="cpu", shuffle=True, train=False)
        try:
            samples, real = next(iter(batches.epoch(0))).inputs, True
        finally:
            batches.close()
    except UserError:
        samples, real = made_up(spec), False
    if len(samples) < 2:  # a batch of one is traced as a constant
        samples = torch.cat([samples, samples])
    network, inputs = trained.task.exported(samples)
    facts = {
        "run": trained.run.name, "checkpoint": trained.checkpoint.path.name, "model": trained.preset.model.name,
        "input": spec.input, "input_shape": list(spec.input_shape), "input_dtype": spec.input_dtype,
        "target": spec.target, "class_names": list(spec.class_names), "target_names": list(spec.target_names),
        "answer_units": trained.task.answer_units(),
        "preprocessing": spec.preprocessing,
    }  # fmt: skip
    subject = Subject(network.eval(), inputs, facts, trained.run.path, str(trained.step))
    return subject, real


def made_up(spec: Any) -> Tensor:
    """Inputs of the right shape from a fixed seed: normal numbers, or any tokens but padding."""
    generator = torch.Generator().manual_seed(0)
    shape = (SAMPLES, *spec.input_shape)
    if spec.input == "tokens":
        return torch.randint(1, max(2, len(spec.vocabulary)), shape, generator=generator)
    return torch.randn(shape, generator=generator)


@torch.no_grad()
def compare(subject: Subject, to: str, path: Path, options: Options) -> tuple[float, float]:
    """The largest difference between the file's answers in a fresh process and the network's; its largest answer.

    A file for batches of any size is asked with one sample and with all; another with one at a time.

    Raises:
        UserError: the file cannot be loaded or asked.
    """
    count = len(subject.inputs[0])
    spans = [(0, 1), (0, count)] if options.dynamic else [(at, at + 1) for at in range(count)]
    calls = [[tensor[low:high].contiguous() for tensor in subject.inputs] for low, high in spans]
    answers = ask_fresh(subject, to, path, calls)
    difference, largest = 0.0, 0.0
    for call, given in enumerate(calls):
        wanted = flat(subject.network(*given))
        got = [torch.from_numpy(np.atleast_1d(answers[f"{call}_{at}"])) for at in range(len(wanted))]
        for ours, theirs in zip(wanted, got, strict=True):
            if ours.numel() != theirs.numel():
                raise UserError(
                    f"the {to} file answers {tuple(theirs.shape)} where the network answers {tuple(ours.shape)}"
                )
            gap = (ours.double().flatten() - theirs.double().flatten()).abs()
            difference = max(difference, float(gap.max())) if gap.isfinite().all() else float("inf")
            largest = max(largest, float(ours.double().abs().max()))
    return difference, largest


def ask_fresh(subject: Subject, to: str, path: Path, calls: list[list[Tensor]]) -> dict[str, Any]:
    """The answers of the file, loaded by a process that has never seen the network."""
    with tempfile.TemporaryDirectory(prefix="dltui-export-") as folder:
        arrays: dict[str, Any] = {
            f"{call}_{at}": tensor.numpy()
            for call, given in enumerate(calls)
            for at, tensor in enumerate(given)
        }
        np.savez(Path(folder, "inputs.npz"), **arrays)
        Path(folder, "hints.json").write_text(
            json.dumps({"run": str(subject.run), "checkpoint": subject.checkpoint})
        )
        command = [sys.executable, "-m", "dlcore.deploy.check_export", to, str(path.absolute()), folder]
        home = str(Path(dlcore.__file__).parents[1])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([home, os.environ.get("PYTHONPATH", "")])}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(f"the {to} file was not answered from within {TIMEOUT:.0f} s") from error
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise UserError(f"the {to} file cannot be used in a fresh process: {last[:300]}")
        with np.load(Path(folder, "outputs.npz"), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
