"""Weights from elsewhere: a published set, a run of one's own, or a file.

Files are not trusted: nothing but tensors is read from them, whatever they hold. What cannot be had is one sentence.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dlcore.data.download import DownloadError, download
from dlcore.data.files import resolve_path
from dlcore.data.spec import DataContext
from dlcore.errors import NotFoundError, UserError
from dlcore.run_dir import RunDir, list_runs
from dlcore.text_safety import safe_text
from dlcore.training.checkpoints import CheckpointFolder

MOST_BYTES = 16 * 2**30
NESTED = ("state_dict", "model_state_dict", "model", "weights", "net", "ema")
"""Where checkpoints of other programs keep the weights, most usual first."""

Tensors = Mapping[str, Tensor]


def read_weights(weights: str, model: nn.Module, context: DataContext, runs: Path) -> tuple[str, Tensors]:
    """What ``model.weights`` names.

    Args:
        model: its ``published`` maps imagenet to an address, if it has any.
        context: says where downloads are kept and what relative paths mean.
        runs: the folder that runs are looked for in.

    Returns:
        Where they are from, for people, and the tensors by name.

    Raises:
        UserError: they cannot be had.
    """
    if weights.startswith("run:"):
        return _of_run(weights.removeprefix("run:"), runs)
    if weights == "imagenet":
        path = _published(weights, model, context.folder / "weights", context.report)
        return f"ImageNet ({path.name})", read_file(path)
    path = _file(weights, context)
    return safe_text(path.name, limit=100), read_file(path)


def read_file(path: Path) -> Tensors:
    """The tensors of a .safetensors file, or of a checkpoint that torch.save wrote.

    Raises:
        UserError: it holds anything else, is damaged or cannot be read; nothing in it was run.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            tensors = _tensors(load_file(path))
        else:
            if zipfile.is_zipfile(path):
                _refuse_inflating(path)
            with warnings.catch_warnings():  # old files speak of storages that torch has since renamed
                warnings.simplefilter("ignore")
                tensors = _tensors(torch.load(path, map_location="cpu", weights_only=True))
    except OSError as error:
        raise UserError(f"{safe_text(path)} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a crafted file makes the readers raise anything
        reason = safe_text(" ".join(str(error).split()), limit=120)
        raise UserError(
            f"{safe_text(path)} holds something else than weights, or is damaged; nothing of it was used ({reason})"
        ) from error
    if not tensors:
        raise UserError(f"{safe_text(path)} holds no weights: no table of named tensors was found in it")
    return tensors


def _refuse_inflating(path: Path) -> None:
    """torch.save compresses nothing, so what unpacks to more than the file is none of its."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
            raise ValueError("compressed members")


def _tensors(content: Any) -> Tensors:
    """The table of tensors in what was read: itself, or one of the usual places inside."""
    if not isinstance(content, Mapping):
        return {}
    places = [content, *(content[key] for key in NESTED if key in content)]
    tables = [
        {name: tensor for name, tensor in place.items() if isinstance(name, str) and _is_plain(tensor)}
        for place in places
        if isinstance(place, Mapping)
    ]
    return max(tables, key=len)


def _is_plain(value: Any) -> bool:
    """Whether it is a tensor of real numbers that are there: not sparse, quantized, nested or on no device."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not (value.is_quantized or value.is_nested or value.is_complex())
    )


def _file(weights: str, context: DataContext) -> Path:
    try:
        path = resolve_path(weights, context)
    except NotFoundError as error:
        line = f"model.weights: {error}".replace("set data.path", "set model.weights")
        raise NotFoundError(line, error.path) from error
    except UserError as error:
        raise UserError(f"model.weights: {error}") from error
    if not path.is_file():
        raise UserError(f"model.weights: {safe_text(path)} is not a file")
    return path


def _of_run(reference: str, runs: Path) -> tuple[str, Tensors]:
    """The best weights of a run, averaged ones where there are any; of a preset's newest run that has some."""
    try:
        found = [RunDir.find(runs, reference).path]
    except UserError as error:
        found = [summary.path for summary in list_runs(runs) if _is_of(summary.preset, reference)]
        if not found:
            hint = "" if "/" in reference else f"; train it first: dltui run {safe_text(reference, limit=60)}"
            raise UserError(f"model.weights: {error}{hint}") from error
    for path in found:
        folder = CheckpointFolder(path / "checkpoints")
        checkpoint = folder.best() or folder.newest()
        if checkpoint is not None:
            epoch = checkpoint.manifest.get("epoch")
            return f"run {safe_text(path.name)}, epoch {epoch}", checkpoint.weights()
    raise UserError(f"model.weights: run {safe_text(found[0].name)} has no checkpoint to take weights from")


def _is_of(preset: str, reference: str) -> bool:
    return Path(preset).name.removesuffix(".toml") == reference.removesuffix(".toml")


def _published(name: str, model: nn.Module, folder: Path, report: Callable[[str], None]) -> Path:
    """The file of a published set, downloaded once."""
    address = getattr(model, "published", {}).get(name)
    if not isinstance(address, str):
        raise UserError(
            f"model.weights: there are no {name} weights for this model; "
            'model.name = "torchvision" has networks that there are some for'
        )
    path = folder / address.rpartition("/")[2]
    if not path.is_file():
        digest = re.search(r"-([0-9a-f]{8,64})\.", path.name)
        try:
            if digest is None:
                raise DownloadError("its checksum is not known")
            download([address], path, sha256=digest[1], report=report, most=MOST_BYTES)
        except DownloadError as error:
            raise UserError(
                f"cannot download {path.name} ({error}): put it into {folder} yourself, or start without model.weights"
            ) from None
    return path
