"""The thread behind the device in the header: the GPUs of this machine in one short text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui.follow import Follower
from tui.messages import DeviceRead

if TYPE_CHECKING:
    from textual.message import Message

    from dlcore.gauges import GaugeReader, Gpu

SECONDS = 5.0  # between two looks
GIB = 1 << 30


class DeviceFollower(Follower):
    """Posts `DeviceRead` when the text changes.

    Args:
        post: as for `Follower`.
        reader: asks the GPUs.
        folder: the runs folder; any folder does.
    """

    def __init__(self, post: Callable[[Message], object], reader: GaugeReader, folder: Path) -> None:
        super().__init__(post)
        self._reader = reader
        self._folder = folder
        self._said = ""

    def look(self) -> Message | None:  # noqa: D102
        said = summary(self._reader.read(None, self._folder).gpus)
        if said == self._said:
            return None
        self._said = said
        return DeviceRead(said)

    def rest(self) -> float:  # noqa: D102
        return SECONDS


def summary(gpus: Sequence[Gpu]) -> str:
    """``NVIDIA H100  62/79 GiB  97 %``; of several, their number, their sums and the mean; "" without one."""
    if not gpus:
        return ""
    names = {gpu.name or "GPU" for gpu in gpus}
    name = names.pop() if len(names) == 1 else "GPUs"
    parts = [name if len(gpus) == 1 else f"{len(gpus)}× {name}"]
    used = [gpu.memory_used for gpu in gpus if gpu.memory_used is not None]
    total = [gpu.memory_total for gpu in gpus if gpu.memory_total is not None]
    if len(used) == len(total) == len(gpus):
        parts.append(f"{sum(used) / GIB:.0f}/{sum(total) / GIB:.0f} GiB")
    busy = [gpu.utilisation for gpu in gpus if gpu.utilisation is not None]
    if busy:
        parts.append(f"{sum(busy) / len(busy):.0%}".replace("%", " %"))
    return "  ".join(parts)
