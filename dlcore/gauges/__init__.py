"""What the machine is doing: GPUs, processors, memory, disk and the worker's share of them.

A figure that cannot be had is None, never 0. Nothing here waits long: NVML, whose calls may hang with the
driver, is asked in a thread of its own, at most once a second, and whoever asks goes on after a deadline.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dlcore.text_safety import safe_text

INTERVAL = 1.0  # seconds between two readings at least
DEADLINE = 0.5  # seconds that whoever asks waits for NVML
AGAIN = 30.0  # seconds until a source that failed is tried again

NO_GPU = "no NVIDIA GPU"
SILENT = "the NVIDIA driver does not answer"


@dataclass(frozen=True)
class Gpu:
    """One GPU, or one slice of a GPU in MIG mode.

    Attributes:
        label: ``0``, or ``0:1`` for the second slice of the first GPU.
        name: as the driver says it, safe to print.
        memory_used: bytes in use by all processes.
        memory_reserved: bytes the driver keeps for itself.
        memory_total: bytes.
        memory_worker: bytes of the worker's processes.
        utilisation: share of the time that something ran, 0 to 1.
        temperature: degrees Celsius.
        power: watts.
        power_limit: watts it is held to.
    """

    label: str
    name: str = ""
    memory_used: int | None = None
    memory_reserved: int | None = None
    memory_total: int | None = None
    memory_worker: int | None = None
    utilisation: float | None = None
    temperature: float | None = None
    power: float | None = None
    power_limit: float | None = None

    @property
    def silent(self) -> bool:
        """Nothing about it is known."""
        return self == Gpu(self.label, self.name)


@dataclass(frozen=True)
class Host:
    """The machine around the GPUs.

    Attributes:
        cpu: share of all cores that is busy, 0 to 1.
        cores: how many there are.
        memory_used, memory_total: bytes; what caches hold is not used.
        disk_free, disk_total: bytes, of the file system with the run.
        worker_cpu: cores the worker's processes keep busy, 1.0 for one.
        worker_memory: bytes resident, of the worker's processes.
    """

    cpu: float | None = None
    cores: int | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    disk_free: int | None = None
    disk_total: int | None = None
    worker_cpu: float | None = None
    worker_memory: int | None = None


@dataclass(frozen=True)
class Reading:
    """All figures of one moment.

    Attributes:
        gpus: none where there is none.
        note: why GPUs or their figures are missing; "" when nothing is.
    """

    host: Host = Host()
    gpus: tuple[Gpu, ...] = ()
    note: str = ""


class GpuSource(Protocol):
    """Where figures of GPUs come from. May hang, raise anything and leave out whatever it likes."""

    def read(self, pids: frozenset[int]) -> Sequence[Gpu]:
        """The GPUs now; ``pids`` are the worker's processes."""


class HostSource(Protocol):
    """Where the other figures come from."""

    def read(self, pid: int | None, folder: Path) -> tuple[Host, frozenset[int]]:
        """The host, and the processes of a worker: itself and its children."""


class NoGpu(Exception):  # noqa: N818 - a fact about the machine, not a failure
    """There is nothing to ask; its text says so."""


class GpuReader:
    """Asks a source in threads of its own and never waits for it longer than a deadline.

    One at a time: while a call hangs nothing else is started, and the GPUs stay listed without figures.

    Args:
        open_source: called in that thread; raises `NoGpu` where there is none.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        open_source: Callable[[], GpuSource],
        *,
        deadline: float = DEADLINE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_source = open_source
        self._deadline = deadline
        self._clock = clock
        self._source: GpuSource | None = None
        self._gpus: tuple[Gpu, ...] = ()
        self._note = ""
        self._next = float("-inf")  # when the source may be asked again
        self._done = threading.Event()
        self._done.set()

    def read(self, pids: frozenset[int] = frozenset()) -> tuple[tuple[Gpu, ...], str]:
        """The GPUs and what is missing. For one thread at a time; returns within the deadline."""
        if self._done.is_set() and self._clock() >= self._next:
            self._next = self._clock() + INTERVAL
            self._done.clear()
            threading.Thread(target=self._ask, args=(pids,), name="gauges-nvml", daemon=True).start()
            self._done.wait(self._deadline)
        if self._done.is_set():
            return self._gpus, self._note
        known = tuple(Gpu(gpu.label, gpu.name) for gpu in self._gpus)
        return known, SILENT

    def _ask(self, pids: frozenset[int]) -> None:
        try:
            if self._source is None:
                self._source = self._open_source()
            self._gpus, self._note = tuple(self._source.read(pids)), ""
            if self._gpus and all(gpu.silent for gpu in self._gpus):
                raise OSError("it gives no figures")
        except Exception as error:  # a driver may be removed, reset or broken at any moment
            self._source = None
            self._next = self._clock() + AGAIN
            self._gpus = tuple(Gpu(gpu.label, gpu.name) for gpu in self._gpus)
            said = safe_text(error, limit=120)
            self._note = said if isinstance(error, NoGpu) else f"NVIDIA driver: {said}"
        finally:
            self._done.set()


class GaugeReader:
    """Readings of the machine for whoever shows them.

    Args:
        gpus: the source of GPU figures, made when first needed; None: NVML.
        host: likewise; None: psutil.
        deadline: seconds that a reading waits for the GPUs.
    """

    def __init__(
        self,
        gpus: Callable[[], GpuSource] | None = None,
        host: Callable[[], HostSource] | None = None,
        *,
        deadline: float = DEADLINE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gpus = GpuReader(gpus or _nvml, deadline=deadline, clock=clock)
        self._open_host = host or _psutil
        self._host: HostSource | None = None

    def read(self, pid: int | None, folder: Path) -> Reading:
        """All figures now. Takes a millisecond, the deadline at most; not for a thread that paints.

        Args:
            pid: of the worker on this machine; None when there is none.
            folder: whose file system to look at.
        """
        host, pids = Host(), frozenset[int]()
        try:
            if self._host is None:
                self._host = self._open_host()
            host, pids = self._host.read(pid, folder)
        except Exception:  # psutil knows many systems, and some of them refuse many things
            self._host = None
        gpus, note = self._gpus.read(pids)
        return Reading(host, gpus, note)


def _nvml() -> GpuSource:
    from dlcore.gauges.nvml import open_nvml

    return open_nvml()


def _psutil() -> HostSource:
    from dlcore.gauges.host import PsutilHost

    return PsutilHost()
