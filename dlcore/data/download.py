"""Fetching a file: from the first mirror that answers, checked, and in place only when it is whole."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from dlcore.errors import UserError

TIMEOUT = 15.0  # seconds without an answer, a mirror
CHUNK = 2**18
MAX_BYTES = 2**30
REPORT_SECONDS = 0.5


_refused: ContextVar[bool] = ContextVar("refused", default=False)


class DownloadError(Exception):
    """No mirror gave the file; says why."""


class NotDownloaded(UserError):  # noqa: N818  (no error: a run downloads it)
    """The file is not here, and this is not the moment to fetch it."""


@contextmanager
def no_downloads() -> Iterator[None]:
    """Inside, and in this thread, `download` raises `NotDownloaded` and fetches nothing."""
    token = _refused.set(True)
    try:
        yield
    finally:
        _refused.reset(token)


def require_download(name: str) -> None:
    """Ask before fetching ``name`` in another way than `download`.

    Raises:
        NotDownloaded: inside `no_downloads`.
    """
    if _refused.get():
        raise NotDownloaded(f"{name} is not on this computer yet: the run downloads it when it starts")


def download(
    urls: Sequence[str],
    path: Path,
    *,
    md5: str = "",
    sha256: str = "",
    report: Callable[[str], None],
    most: int = MAX_BYTES,
) -> None:
    """Put the file that ``urls`` all offer at ``path``.

    Args:
        md5, sha256: of the whole file, or its beginning, in hexadecimal; one of them.
        report: is told about progress, at most twice a second.
        most: bytes; more is not taken.

    Raises:
        DownloadError: no mirror answered, or what came was not the file.
        NotDownloaded: inside `no_downloads`.
        UserError: the folder cannot be written.
    """
    require_download(path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise UserError(
            f"{path.parent} cannot be written ({error.strerror}): set DLTUI_DATA to a folder of yours"
        ) from None
    reasons = []
    try:
        with os.fdopen(handle, "wb") as file:
            for url in urls:
                try:
                    digest = hashlib.sha256() if sha256 else hashlib.md5(usedforsecurity=False)
                    _fetch(url, file.fileno(), path.name, digest, most, report)
                    if not (sha256 or md5) or not digest.hexdigest().startswith(sha256 or md5):
                        raise DownloadError("what came is not the expected file")
                except (OSError, http.client.HTTPException, DownloadError) as error:
                    if isinstance(error, OSError) and _is_local(error):
                        raise UserError(f"{path} cannot be written: {error.strerror}") from None
                    reasons.append(f"{url.split('/')[2]}: {getattr(error, 'reason', None) or error}")
                else:
                    os.fsync(file.fileno())
                    Path(temporary).replace(path)
                    return
    finally:
        Path(temporary).unlink(missing_ok=True)
    raise DownloadError("; ".join(reasons))


def _is_local(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _fetch(url: str, target: int, name: str, digest: Any, most: int, report: Callable[[str], None]) -> None:
    os.ftruncate(target, 0)
    os.lseek(target, 0, os.SEEK_SET)
    done, shown = 0, -REPORT_SECONDS
    request = urllib.request.Request(url, headers={"User-Agent": "dltui"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        while chunk := answer.read(CHUNK):
            done += len(chunk)
            if done > most:
                raise DownloadError("sends more than it should")
            digest.update(chunk)
            os.write(target, chunk)
            if time.monotonic() - shown >= REPORT_SECONDS:
                shown = time.monotonic()
                report(f"downloading {name}: {_progress(done, total)}")
    report(f"downloaded {name}: {done / 1e6:.1f} MB")


def _progress(done: int, total: int) -> str:
    return f"{100 * done // total} % of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
