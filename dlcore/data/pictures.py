"""Image files to small tensors; the same code reads them for training and for prediction.

Files are not trusted: only plain picture formats are opened, and a picture whose header claims more than
`MAX_PIXELS` is refused before any of it is unpacked.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
MAX_PIXELS = 89_000_000
ORIENTATION = 0x0112  # EXIF: 5 and more lie on their side

Place = TypeVar("Place")
Result = TypeVar("Result")


class UnreadablePictureError(ValueError):
    """The file is no picture that can be read; says why, without the path."""


class PictureSize(NamedTuple):
    """What every picture is brought to."""

    channels: int
    height: int
    width: int

    @property
    def bytes(self) -> int:
        """Of one picture."""
        return self.channels * self.height * self.width

    @classmethod
    def of(cls, preprocessing: Mapping[str, Any]) -> PictureSize:
        """The size a model was trained on, from the ``image`` kind of preprocessing."""
        return cls(preprocessing["channels"], preprocessing["height"], preprocessing["width"])


def read_picture(path: Path, size: PictureSize) -> Tensor:
    """A picture as uint8 (channels, height, width): upright, scaled to cover that size, cut at the centre.

    Raises:
        UnreadablePictureError: not a picture, damaged, or too large.
    """
    return read_picture_bytes(path, size)


def read_picture_bytes(source: Path | IO[bytes], size: PictureSize) -> Tensor:
    """As `read_picture`, also from a file in memory.

    Raises:
        UnreadablePictureError: not a picture, damaged, or too large.
    """
    try:
        with _opened(source) as picture:
            channels, height, width = size
            # Large JPEGs are decoded at a half, a quarter or an eighth, which costs that much less.
            picture.draft("RGB" if channels == 3 else "L", (2 * width, 2 * height))
            return fit_picture(picture, size)
    except UnreadablePictureError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
        raise UnreadablePictureError(_reason(error)) from None


def fit_picture(picture: Image.Image, size: PictureSize) -> Tensor:
    """An opened picture as `read_picture` gives it."""
    channels, height, width = size
    fitted = ImageOps.fit(_plain(picture, channels), (width, height), Image.Resampling.BICUBIC)
    pixels = np.array(fitted, np.uint8).reshape(height, width, channels)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def read_values(path: Path, height: int, width: int) -> Tensor:
    """A mask's values as int32 (height, width), scaled and cut as `read_picture` does, at the nearest pixel.

    A palette's numbers and greys are taken as they are, a colour as one number of 24 bits.

    Raises:
        UnreadablePictureError: not a picture, damaged, or too large.
    """
    try:
        with _opened(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode not in ("1", "L", "P", "I", "I;16"):
                upright = upright.convert("RGB")
            fitted = ImageOps.fit(upright, (width, height), Image.Resampling.NEAREST)
            values = np.asarray(fitted).astype(np.int32)
    except UnreadablePictureError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
        raise UnreadablePictureError(_reason(error)) from None
    if values.ndim == 3:
        values = values @ np.array([2**16, 2**8, 1], np.int32)
    return torch.from_numpy(values)


def size_of(path: Path) -> tuple[int, int]:
    """Height and width, upright, from the header.

    Raises:
        UnreadablePictureError: not a picture, or too large.
    """
    try:
        with _opened(path) as picture:
            turned = picture.getexif().get(ORIENTATION, 1) >= 5
            return (picture.width, picture.height) if turned else (picture.height, picture.width)
    except UnreadablePictureError:
        raise
    except Exception as error:
        raise UnreadablePictureError(_reason(error)) from None


def check_picture(path: Path) -> None:
    """Read the header only.

    Raises:
        UnreadablePictureError: not a picture, or too large.
    """
    try:
        with _opened(path):
            pass
    except UnreadablePictureError:
        raise
    except Exception as error:
        raise UnreadablePictureError(_reason(error)) from None


def map_files(
    function: Callable[[Place], Result], paths: Sequence[Place], done: Callable[[int], None]
) -> list[Result | UnreadablePictureError]:
    """``function`` of every path (or tuple of them) in order, on threads: decoders let go of the interpreter.

    An unreadable picture is answered with its error instead of raising it.

    Args:
        done: is told how many are done, now and then.
    """

    def attempt(path: Place) -> Result | UnreadablePictureError:
        try:
            return function(path)
        except UnreadablePictureError as error:
            return error

    results: list[Result | UnreadablePictureError] = []
    # One filter around all threads, as filters are global: what PIL only warns of is read or refused here.
    with warnings.catch_warnings(), ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")
        for result in pool.map(attempt, paths):
            results.append(result)
            if len(results) % 256 == 0:
                done(len(results))
    return results


@contextmanager
def _opened(source: Path | IO[bytes]) -> Iterator[Image.Image]:
    with Image.open(source, formats=FORMATS) as picture:
        pixels = picture.width * picture.height
        if pixels > MAX_PIXELS:
            raise UnreadablePictureError(
                f"{pixels / 1e6:,.0f} million pixels, more than {MAX_PIXELS / 1e6:,.0f} million"
            )
        if pixels == 0:
            raise UnreadablePictureError("no pixels")
        yield picture


def _plain(picture: Image.Image, channels: int) -> Image.Image:
    """Upright, without palette, transparency or 16-bit values."""
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I"):  # 16 bits; convert("L") would cut values above 255 off
        values = np.asarray(upright, np.float64)
        upright = Image.fromarray((values / (257 if values.max() > 255 else 1)).clip(0, 255).astype(np.uint8))
    if upright.mode in ("P", "PA", "LA") or "transparency" in upright.info:
        upright = upright.convert("RGBA")
    if upright.mode == "RGBA":  # see-through is white
        ground = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(ground, upright)
    return upright.convert("RGB" if channels == 3 else "L")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0] or type(error).__name__
