"""How a training's threads wait for each other on this machine's cores; set before torch is imported.

OpenMP's threads meet after every parallel loop, thousands of times a second in a small network. By default one that
waits spins: the fastest way on idle cores, and ruinous on busy ones, where it spins away the time that the thread
it waits for needs. The library reads its environment once, so it is decided when a process starts.
"""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
from pathlib import Path

POLICY, SPINS = "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"
SHORT_SPIN = "1000"
"""Rounds that a thread spins before it sleeps, some ten microseconds: most of the gain, little of the harm."""
BUSY = 0.5
"""Threads of others that run or want to run, on average, from which cores count as busy."""
_LOOKS, _PAUSE = 20, 0.001
_LOAD = Path("/proc/loadavg")


def share_cores(environment: MutableMapping[str, str] = os.environ) -> None:
    """Lets threads spin for a moment when they wait on idle cores, and sleep at once on busy ones; 20 ms.

    A choice made already, by the user or by the process that started this one, stays. Measured on two cores: an
    MLP on MNIST trains 1.6 times as fast on idle cores when threads spin; with both cores busy, a small
    network took 57 s by the library's default and 4.3 s when they sleep.
    """
    if environment.keys() & {POLICY, SPINS}:
        return
    if runnable_others() >= BUSY:
        environment[POLICY] = "PASSIVE"
    else:
        environment[SPINS] = SHORT_SPIN


def waiting(environment: MutableMapping[str, str] = os.environ) -> str:
    """How threads wait, in words."""
    if environment.get(POLICY, "").upper() == "PASSIVE":
        return "they sleep while they wait: cores are shared"
    if environment.get(SPINS) == SHORT_SPIN:
        return "they spin for a moment when they wait: cores were idle"
    return "they wait as the environment says"


def runnable_others() -> float:
    """Threads of other processes that run or want to, the mean of some looks; 0 where nobody tells.

    The system counts them now, whereas its load averages still tell of the minute before.
    """
    counts = []
    for _ in range(_LOOKS):
        try:
            running = _LOAD.read_text("ascii").split()[3].partition("/")[0]
        except (OSError, IndexError):
            return 0.0
        counts.append(max(0, int(running) - 1))  # this one runs, too
        time.sleep(_PAUSE)
    return sum(counts) / len(counts)


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
