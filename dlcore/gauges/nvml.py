"""GPU figures from NVIDIA's management library, by cheap calls only.

Memory and utilisation take some 10 µs a GPU. The list of processes is another matter: milliseconds under the
driver's lock, so it is asked rarely, and the more rarely the longer it takes.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from dlcore.gauges import NO_GPU, Gpu, GpuSource, NoGpu
from dlcore.text_safety import safe_text

LIBRARY = "libnvidia-ml.so.1"
PROCESS_SECONDS = 10.0  # between two looks at the processes at least
PROCESS_SHARE = 1000  # and at least so many times what a look takes
_MAX_SLICES = 16
_MOST = 1 << 60  # bytes; the driver says "not available" with all bits set


class _Device(NamedTuple):
    """A handle to ask, and the GPU that has the temperature and power of a MIG slice."""

    label: str
    name: str
    handle: Any
    whole: bool


def open_nvml() -> GpuSource:
    """The library of this machine.

    Raises:
        NoGpu: there is none, or it has no GPU.
    """
    try:
        ctypes.CDLL(LIBRARY)  # 0.2 ms, where importing pynvml takes 40
    except OSError:
        raise NoGpu(NO_GPU) from None
    import pynvml

    return Nvml(pynvml)


class Nvml:
    """Reads the GPUs that there were when it was made.

    Args:
        library: the module ``pynvml``, or one that does as if.
        clock: monotonic seconds.

    Raises:
        NoGpu: it has no GPU.
        Exception: whatever the library has to complain of.
    """

    def __init__(self, library: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._library = library
        self._clock = clock
        self._worker_memory: dict[str, int] = {}
        self._asked_for: frozenset[int] = frozenset()
        self._next_look = float("-inf")
        library.nvmlInit()
        self._devices = list(self._find())
        if not self._devices:
            raise NoGpu(NO_GPU)

    def read(self, pids: frozenset[int]) -> list[Gpu]:
        """All figures of all GPUs that the driver gives."""
        self._look_at_processes(pids)
        return [self._read(device) for device in self._devices]

    def _find(self) -> Iterable[_Device]:
        for index in range(self._library.nvmlDeviceGetCount()):
            handle = self._ask("nvmlDeviceGetHandleByIndex", index)
            if handle is None:  # such as one that fell off the bus
                yield _Device(str(index), "", None, True)
                continue
            slices = list(self._slices(index, handle))
            yield from slices or [_Device(str(index), self._name(handle), handle, True)]

    def _slices(self, index: int, handle: Any) -> Iterable[_Device]:
        mode = self._ask("nvmlDeviceGetMigMode", handle)
        if not mode or mode[0] != 1:
            return
        for number in range(min(self._ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0, _MAX_SLICES)):
            part = self._ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, number)
            if part is not None:
                yield _Device(f"{index}:{number}", self._name(part), part, False)

    def _name(self, handle: Any) -> str:
        name = self._ask("nvmlDeviceGetName", handle)
        return safe_text(name, limit=80) if name is not None else ""

    def _read(self, device: _Device) -> Gpu:
        handle = device.handle
        if handle is None:
            return Gpu(device.label, device.name)
        memory = self._memory(handle)
        figures: dict[str, Any] = {}
        if device.whole:  # a slice has no figures of these, and those of the whole would be read as its own
            use = self._ask("nvmlDeviceGetUtilizationRates", handle)
            figures = {
                "utilisation": _scaled(getattr(use, "gpu", None), 0.01, 1.0),
                "temperature": _scaled(self._ask("nvmlDeviceGetTemperature", handle, 0), 1, 200),
                "power": _scaled(self._ask("nvmlDeviceGetPowerUsage", handle), 0.001, 1e5),
                "power_limit": _scaled(self._ask("nvmlDeviceGetEnforcedPowerLimit", handle), 0.001, 1e5),
            }
        return Gpu(
            device.label,
            device.name,
            memory_used=_bytes(memory, "used"),
            memory_reserved=_bytes(memory, "reserved"),
            memory_total=_bytes(memory, "total") or None,
            memory_worker=self._worker_memory.get(device.label),
            **figures,
        )

    def _memory(self, handle: Any) -> Any:
        """With what the driver reserves where it tells, which older ones count as used."""
        second = getattr(self._library, "nvmlMemory_v2", None)
        memory = self._ask("nvmlDeviceGetMemoryInfo", handle, second) if second is not None else None
        return memory if memory is not None else self._ask("nvmlDeviceGetMemoryInfo", handle)

    def _look_at_processes(self, pids: frozenset[int]) -> None:
        began = self._clock()
        if pids != self._asked_for:
            self._worker_memory, self._asked_for = {}, pids
        elif began < self._next_look:
            return
        if pids:
            self._worker_memory = {
                device.label: memory
                for device in self._devices
                if device.handle is not None and (memory := self._of(device.handle, pids)) is not None
            }
        took = self._clock() - began
        self._next_look = began + max(PROCESS_SECONDS, PROCESS_SHARE * took)

    def _of(self, handle: Any, pids: frozenset[int]) -> int | None:
        """Bytes of these processes; None where none of them is seen, as from inside a container."""
        found = [
            memory
            for process in self._ask("nvmlDeviceGetComputeRunningProcesses", handle) or ()
            if getattr(process, "pid", None) in pids
            and (memory := _bytes(process, "usedGpuMemory")) is not None
        ]
        return sum(found) if found else None

    def _ask(self, name: str, *arguments: Any) -> Any:
        """What a function says, or None: GPUs, drivers and libraries differ in what they know."""
        try:
            return getattr(self._library, name)(*arguments)
        except Exception:
            return None


def _bytes(holder: Any, name: str) -> int | None:
    value = getattr(holder, name, None)
    return value if type(value) is int and 0 <= value < _MOST else None


def _scaled(value: Any, factor: float, most: float) -> float | None:
    if type(value) not in (int, float) or not 0 <= value * factor <= most:
        return None
    return float(value * factor)
