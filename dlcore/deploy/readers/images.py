"""Picture files and folders of them, in any size and colour: brought to what the network was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from dlcore.data.picture_folders import pictures_below
from dlcore.data.pictures import PictureSize, UnreadablePictureError, map_files, read_picture
from dlcore.data.preprocess import preprocess
from dlcore.data.spec import DataSpec
from dlcore.deploy.inputs import READERS, Item, Reader, Unreadable, target_of

WHITE = 255
AT_ONCE = 256
"""Pictures decoded before the first of them is answered; keeps memory bounded in large folders."""


@READERS.register("image")
class Pictures(Reader):
    """Files are answered one each; folders, with everything below them, in the order of their names."""

    def __init__(self, spec: DataSpec, options: Mapping[str, Any]) -> None:
        super().__init__(spec, options)
        self.size = PictureSize.of(spec.preprocessing)

    def read(self, place: str, *, labelled: bool) -> Iterator[Item | Unreadable]:
        """Pictures; the true answer is the name of the folder that a picture is in."""
        path = Path(place)
        if path.is_dir():
            paths = pictures_below(path)
            if not paths:
                yield Unreadable(place, "the folder holds no picture")
                return
        else:
            paths = [path]
        for low in range(0, len(paths), AT_ONCE):
            chunk = paths[low : low + AT_ONCE]
            found = map_files(partial(read_picture, size=self.size), chunk, lambda _: None)
            for file, picture in zip(chunk, found, strict=True):
                yield self._item(file, picture, labelled)

    def _item(
        self, file: Path, picture: Tensor | UnreadablePictureError, labelled: bool
    ) -> Item | Unreadable:
        if isinstance(picture, UnreadablePictureError):
            return Unreadable(str(file), str(picture))
        raw = picture[None].float() * (float(self.spec.preprocessing["scale"]) / WHITE)
        inputs = preprocess(self.spec.preprocessing, raw)[0]
        if not labelled:
            return Item(str(file), inputs)
        try:
            return Item(str(file), inputs, target_of(self.spec, file.absolute().parent.name))
        except ValueError as error:
            return Unreadable(str(file), str(error))
