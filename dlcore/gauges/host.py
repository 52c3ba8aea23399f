"""Processor, memory and disk figures, and a worker's share of them, from psutil."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from dlcore.gauges import Host

CHILDREN_SECONDS = 10.0  # between two looks for children: that reads all processes of the machine

T = TypeVar("T")


class PsutilHost:
    """Shares are of the time between two readings, so the first has none.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cores = psutil.cpu_count()
        self._times: tuple[float, float] | None = None
        self._worker: psutil.Process | None = None
        self._children: list[psutil.Process] = []
        self._next_children = float("-inf")
        self._worker_times: tuple[float, dict[int, float]] | None = None

    def read(self, pid: int | None, folder: Path) -> tuple[Host, frozenset[int]]:
        """As `HostSource.read`; about half a millisecond."""
        memory = _tried(psutil.virtual_memory)
        disk = _tried(lambda: os.statvfs(folder))
        self._follow(pid)
        host = Host(
            cpu=_tried(self._cpu),
            cores=self._cores,
            memory_used=memory.total - memory.available if memory else None,
            memory_total=memory.total if memory else None,
            disk_free=disk.f_bavail * disk.f_frsize if disk else None,
            disk_total=disk.f_blocks * disk.f_frsize if disk else None,
            worker_cpu=self._worker_cpu(),
            worker_memory=self._worker_memory(),
        )
        return host, frozenset(process.pid for process in self._processes())

    def _cpu(self) -> float | None:
        times = psutil.cpu_times()
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted as user, too
        idle = times.idle + getattr(times, "iowait", 0.0)
        total = sum(times) - guests
        before, self._times = self._times, (total, idle)
        if before is None or total <= before[0]:
            return None
        return float(min(1.0, max(0.0, 1.0 - (idle - before[1]) / (total - before[0]))))

    def _follow(self, pid: int | None) -> None:
        """Takes up another worker, and looks for loader workers now and then."""
        same = self._worker is not None and self._worker.pid == pid and _tried(self._worker.is_running)
        if not same:
            self._worker = None if pid is None else _tried(lambda: psutil.Process(pid))
            self._children, self._worker_times = [], None
            self._next_children = float("-inf")
        if self._worker is not None and self._clock() >= self._next_children:
            worker = self._worker
            self._children = _tried(lambda: worker.children(recursive=True)) or []
            self._next_children = self._clock() + CHILDREN_SECONDS

    def _processes(self) -> list[psutil.Process]:
        return [] if self._worker is None else [self._worker, *self._children]

    def _worker_cpu(self) -> float | None:
        """Cores kept busy since the last reading by the processes seen both times."""
        now, times = self._clock(), dict[int, float]()
        for process in self._processes():
            spent = _tried(process.cpu_times)
            if spent is not None:
                times[process.pid] = spent.user + spent.system
        before, self._worker_times = self._worker_times, (now, times) if times else None
        if before is None or not times or now <= before[0]:
            return None
        spent = sum(max(0.0, seconds - before[1].get(pid, seconds)) for pid, seconds in times.items())
        return float(spent / (now - before[0]))

    def _worker_memory(self) -> int | None:
        found = [_tried(process.memory_info) for process in self._processes()]
        sizes = [info.rss for info in found if info is not None]
        return sum(sizes) if sizes else None


def _tried(ask: Callable[[], T]) -> T | None:
    """What a system call says, or None where it is refused or unknown."""
    try:
        return ask()
    except (psutil.Error, OSError, NotImplementedError, RuntimeError, ValueError):
        return None
