"""What the data named in a draft looks like, without making anyone wait for it.

Data is read once for each set of options, in a thread, and only its spec and counts are kept. While it is
read, or where it cannot be, the last known spec or a stand-in told by the builder's registration serves.
Nothing is downloaded: looking at shapes must not cost 170 MB.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from dlcore.data.download import NotDownloaded, no_downloads
from dlcore.data.placing import Sizes, sizes_of
from dlcore.data.spec import Data, DataContext, DataSpec
from dlcore.errors import UserError
from dlcore.registry import Entry
from dlcore.user_code import is_user_name, one_line

State = Literal["read", "reading", "absent", "wrong"]

KEPT = 64  # specs
MOST_READERS = 4  # threads; user code may hang in each
FORGET = 3.0  # seconds after which what could not be read is tried again
_TYPICAL: dict[str, tuple[tuple[int, ...], str]] = {  # input kind -> shape and dtype of a made-up sample
    "vector": ((10,), "float32"),
    "image": ((3, 64, 64), "float32"),
    "sequence": ((32, 8), "float32"),
    "tokens": ((64,), "int64"),
}
_TYPICAL_VOCABULARY = 1_000
_TYPICAL_OUTPUTS = {
    "class": 10,
    "binary": 1,
    "number": 1,
    "mask": 2,
    "tokens": _TYPICAL_VOCABULARY,
    "reward": 2,
}


@dataclass(frozen=True)
class Known:
    """What is known of a draft's data.

    Attributes:
        spec: exact when ``read``, else the best guess; None where there is none.
        state: ``absent`` is not here yet but a run will fetch it; ``wrong`` is for the user to mend.
        message: why it is not ``read``, in a sentence.
        samples: in the training, validation and test part; none unless ``read``.
        sizes: of a sample of the training part; None unless ``read``.
    """

    spec: DataSpec | None
    state: State
    message: str = ""
    samples: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    sizes: Sizes | None = None


@dataclass(frozen=True)
class _Reading:
    """One set of options being read.

    Attributes:
        key: all that decides the result.
        source: the part of it that decides what a good guess is.
    """

    key: str
    source: str
    entry: Entry
    options: dict[str, Any]
    context: DataContext
    done: threading.Event = field(default_factory=threading.Event)

    def read(self) -> Known:
        """Reads and describes; whatever goes wrong is part of the description."""
        name = self.entry.name
        try:
            with no_downloads():
                return _described(self.entry.build(self.context, **self.options))
        except NotDownloaded:
            return Known(None, "absent", f"{name} is not on this computer yet: the run downloads it")
        except UserError as error:
            return Known(None, "wrong", error.lines[0])
        except (Exception, SystemExit) as error:  # the user's own reader may raise anything
            return Known(None, "wrong", f"{name} could not be read: {one_line(error)}")


class Specs:
    """Reads data in threads and remembers what it looks like.

    The first reading by a builder imports libraries, scikit-learn for a second, and would slow down what is
    asked meanwhile: it is put off until `begin`, which comes when a first guess has been told.

    Args:
        folder: of downloaded data.
        changed: called from a reading thread when it has finished.
    """

    def __init__(self, folder: Path, changed: Callable[[], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._lock = threading.RLock()
        self._known: OrderedDict[str, tuple[float, Known]] = OrderedDict()  # with when to forget it
        self._latest: dict[str, DataSpec] = {}  # by source
        self._readings: dict[str, _Reading] = {}
        self._imported: set[str] = set()  # builders whose data has been read before
        self._put_off: _Reading | None = None

    def get(
        self,
        entry: Entry,
        options: Mapping[str, Any],
        *,
        seed: int = 0,
        base: Path | None = None,
        wait: float = 0.0,
    ) -> Known:
        """What is known now; begins to read what is not.

        Args:
            options: checked ones.
            base: folder of relative paths, after the working folder.
            wait: seconds to give a reading that has begun.
        """
        files = _files(entry, options, base)
        key = json.dumps([entry.name, options, seed, str(base), files], sort_keys=True)
        source = json.dumps([entry.name, files])
        with self._lock:
            found = self._lookup(key)
            reading = None
            if found is None:
                context = DataContext(self._folder, seed, lambda _: None, base)
                reading = self._reading(_Reading(key, source, entry, dict(options), context))
        if reading is not None and reading.done.wait(wait):
            found = self._lookup(key)
        guess = self.last(entry, options, base)
        if found is None:
            return Known(guess, "reading", f"reading {entry.name} …")
        return found if found.spec is not None else replace(found, spec=guess)

    def last(self, entry: Entry, options: Mapping[str, Any], base: Path | None = None) -> DataSpec | None:
        """The last spec read from the same files, else a stand-in."""
        source = json.dumps([entry.name, _files(entry, options, base)])
        with self._lock:
            return self._latest.get(source) or stand_in(entry)

    def begin(self) -> None:
        """Starts the reading that was put off, if there is one."""
        with self._lock:
            reading, self._put_off = self._put_off, None
            if reading is not None:
                self._imported.add(reading.entry.name)
                self._reading(reading)

    def _lookup(self, key: str) -> Known | None:
        with self._lock:
            until, found = self._known.get(key, (0.0, None))
            if found is None or until < time.monotonic():
                return None
            self._known.move_to_end(key)
            return found

    def _reading(self, wanted: _Reading) -> _Reading | None:
        """The reading that is going on for what is wanted, started now if need be and if that may be."""
        if wanted.key in self._readings:
            return self._readings[wanted.key]
        self._put_off = wanted
        if len(self._readings) >= MOST_READERS or wanted.entry.name not in self._imported:
            return None
        self._put_off = None
        self._readings[wanted.key] = wanted
        threading.Thread(target=self._read, args=(wanted,), name="data", daemon=True).start()
        return wanted

    def _read(self, reading: _Reading) -> None:
        found = reading.read()
        with self._lock:
            until = float("inf") if found.state == "read" else time.monotonic() + FORGET
            self._known[reading.key] = (until, found)
            if found.spec is not None:
                self._latest[reading.source] = found.spec
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            del self._readings[reading.key]
        reading.done.set()
        self._changed()


def _described(data: Data) -> Known:
    """Spec and counts, the data itself let go."""
    parts = (data.train, data.val, *([data.test] if data.test is not None else []))
    samples, sizes = tuple(len(part) for part in parts), sizes_of(data.train)
    return Known(data.spec, "read", "", samples, tuple(data.notes), sizes)


def stand_in(entry: Entry) -> DataSpec | None:
    """A spec like that of the builder's data, as its registration tells; None where it tells too little.

    Exact where ``shape`` and ``outputs`` are among its tags and no option changes them.
    """
    kind, target = entry.kinds("input")[:1], entry.kinds("target")[:1]
    if not kind or not target or kind[0] not in _TYPICAL or target[0] not in _TYPICAL_OUTPUTS:
        return None
    shape, dtype = _TYPICAL[kind[0]]
    outputs = int(entry.tags.get("outputs", _TYPICAL_OUTPUTS[target[0]]))
    tokens = tuple(map(str, range(_TYPICAL_VOCABULARY))) if kind[0] == "tokens" else ()
    return DataSpec(
        input=kind[0],  # type: ignore[arg-type]
        input_shape=tuple(entry.tags.get("shape", shape)),
        input_dtype=dtype,
        target=target[0],  # type: ignore[arg-type]
        num_outputs=outputs,
        class_names=tuple(f"class {number}" for number in range(outputs)) if target[0] == "class" else (),
        target_offset=(0.0,) * outputs if target[0] == "number" else (),
        target_scale=(1.0,) * outputs if target[0] == "number" else (),
        vocabulary=tokens,
    )


def _files(entry: Entry, options: Mapping[str, Any], base: Path | None) -> list[list[Any]]:
    """Files and folders that the options name, with what changes when they do."""
    texts = [value for value in options.values() if isinstance(value, str) and value and "\0" not in value]
    if is_user_name(entry.name):
        texts.append(entry.name.rpartition(":")[0] or entry.name)
    found = []
    for text in texts:
        for place in [Path(), *([base] if base is not None else [])]:
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                path = place / Path(text).expanduser()
                status = os.stat(path)  # noqa: PTH116  (one call, no second Path)
                found.append([str(path), status.st_mtime_ns, status.st_size])
                break
    return found
