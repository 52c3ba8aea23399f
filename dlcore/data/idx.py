"""The idx files that MNIST and its kin come in, plain or gzip-compressed, read straight into an array.

Format (yann.lecun.com/exdb/mnist): two zero bytes, the type (8 = uint8), the number of dimensions, each
size as a big-endian 32-bit number, then the values. Nothing is unpacked to disk: the folder may be read-only.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dlcore.errors import UserError

MAX_BYTES = 4 * 2**30  # of one unpacked file; a crafted one could claim more than any memory
UINT8 = 8


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in a file of bytes, read-only.

    Raises:
        UserError: the file cannot be read, is damaged, or does not hold bytes.
    """
    try:
        raw = path.read_bytes()
        head = _unpack(raw, 4 + 4 * 255)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] != UINT8:
            raise UserError(f"{path} is not an idx file of bytes")
        shape = struct.unpack_from(f">{head[3]}I", head, 4)
        start = 4 + 4 * len(shape)
        size = math.prod(shape)
        if size > MAX_BYTES:
            raise UserError(f"{path} claims {size / 2**30:.0f} GB: refused")
        content = _unpack(raw, start + size)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (zlib.error, struct.error):
        raise UserError(
            f"{path} is damaged: delete it to download it again, or put a good copy there"
        ) from None
    if len(content) < start + size:
        raise UserError(f"{path} is cut short: delete it to download it again, or put a good copy there")
    return np.frombuffer(content, np.uint8, size, start).reshape(shape)


def _unpack(raw: bytes, limit: int) -> bytes:
    """At most ``limit`` bytes of the content."""
    if raw[:2] != b"\x1f\x8b":
        return raw
    return zlib.decompressobj(wbits=31).decompress(raw, limit)
