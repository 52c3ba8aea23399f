"""The files of CIFAR-10 and CIFAR-100 (python version), from their folder or straight from the archive.

They are pickles; these are read by an unpickler that can make numpy arrays of bytes and nothing else, so that
a file swapped by a stranger runs no code.
"""

from __future__ import annotations

import codecs
import io
import pickle
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcore.errors import UserError

MAX_MEMBER = 512 * 2**20


def read_files(folder: Path, archive: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    """The content of each named file, from ``folder`` if it lies there, else out of ``archive``.

    Raises:
        UserError: a file is missing, damaged, or holds something other than arrays and plain values.
    """
    if all((folder / name).is_file() for name in names):
        raws = {name: (folder / name).read_bytes() for name in names}
    else:
        raws = _members(archive, names)
    return {name: _load(raw, f"{folder.name}/{name}") for name, raw in raws.items()}


def unpack(archive: Path, folder: Path, names: list[str]) -> None:
    """Write the named members of ``archive`` into ``folder``, all or none of them; other members stay out."""
    raws = _members(archive, names)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / folder.name
        made.mkdir()
        for name, raw in raws.items():
            (made / name).write_bytes(raw)
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)


def pictures(content: dict[str, Any]) -> NDArray[np.uint8]:
    """Images (samples, 3, 32, 32) of one file."""
    rows = content.get("data")
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 3072:
        raise UserError("the CIFAR files hold no images of 3 by 32 by 32 bytes: put good copies there")
    return rows.reshape(-1, 3, 32, 32)


def _members(archive: Path, names: list[str]) -> dict[str, bytes]:
    raws: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = Path(member.name).name
                content = tar.extractfile(member) if name in names and member.isfile() else None
                if content is not None and member.size <= MAX_MEMBER:
                    raws[name] = content.read()
                if len(raws) == len(names):
                    break
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(
            f"{archive} is damaged ({error}): delete it to download it again, or put a good copy there"
        ) from None
    missing = [name for name in names if name not in raws]
    if missing:
        raise UserError(f"{archive} does not hold {', '.join(missing)}: delete it to download it again")
    return raws


class _ArraysOnly(pickle.Unpickler):
    """Refuses every class but those that an array of numbers is rebuilt from."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case (("numpy.core.multiarray" | "numpy._core.multiarray"), "_reconstruct"):
                return _reconstruct
            case "numpy", "ndarray":
                return np.ndarray
            case "numpy", "dtype":
                return _dtype
            case "_codecs", "encode":  # how Python 3 writes bytes into old pickles
                return codecs.encode
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def _reconstruct(_kind: type, _shape: tuple[int, ...], _code: bytes) -> NDArray[Any]:
    return np.ndarray((0,), np.uint8)  # the pickle's next step fills in shape, type and bytes


def _dtype(code: str, *_flags: object) -> np.dtype[Any]:
    if code not in ("u1", "|u1"):
        raise pickle.UnpicklingError(f"arrays of {code} are not allowed")
    return np.dtype(np.uint8)


def _load(raw: bytes, name: str) -> dict[str, Any]:
    try:
        content = _ArraysOnly(io.BytesIO(raw), encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to call for
        raise UserError(f"{name} is damaged or not what it says ({error}): put a good copy there") from None
    if not isinstance(content, dict):
        raise UserError(f"{name} is not a CIFAR file: put a good copy there")
    return content
