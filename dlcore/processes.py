"""Tells one process from another: a pid alone may have been given away, or belong to another boot."""

from __future__ import annotations

from pathlib import Path


def boot_id() -> str:
    """Changes with every start of the machine; "" where the system tells none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil  # 15 ms, needed only where there is no /proc

        return f"{psutil.boot_time():.0f}"


def process_start(pid: int) -> float | None:
    """When a process started, to tell it from a later one with its pid; None when there is none.

    In clock ticks since boot on Linux, which no change of the clock touches; elsewhere in Unix seconds.
    """
    if Path("/proc/self/stat").exists():
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        state, *fields = text.rpartition(")")[2].split()  # the name before may hold spaces and brackets
        return None if state in "ZX" else float(fields[18])
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None
