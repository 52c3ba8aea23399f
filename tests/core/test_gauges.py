"""Gauges: what is missing is None, one process's share, and a driver that hangs or fails hurts nobody."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dlcore.gauges import AGAIN, INTERVAL, NO_GPU, SILENT, GaugeReader, Gpu, GpuReader, Host, NoGpu
from dlcore.gauges import host as gauges_host
from dlcore.gauges.host import PsutilHost
from dlcore.gauges.nvml import PROCESS_SECONDS, Nvml, open_nvml

H100 = Gpu("0", "NVIDIA H100", memory_used=62 << 30, memory_total=79 << 30, utilisation=0.97)


class Clock:
    """Seconds that only pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeSource:
    """GPUs to give, or an exception to raise; ``gate`` closed: it hangs."""

    def __init__(self, answer: Sequence[Gpu] | Exception) -> None:
        self.answer = answer
        self.gate = threading.Event()
        self.gate.set()
        self.asked = 0

    def read(self, pids: frozenset[int]) -> Sequence[Gpu]:
        self.asked += 1
        self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def reader(source: FakeSource, clock: Clock, deadline: float = 5.0) -> GpuReader:
    return GpuReader(lambda: source, deadline=deadline, clock=clock)


@pytest.mark.parametrize("count", [0, 1, 8])
def test_as_many_gpus_as_the_source_gives(count: int) -> None:
    gpus = [Gpu(str(number), memory_used=number + 1) for number in range(count)]
    assert reader(FakeSource(gpus), Clock()).read() == (tuple(gpus), "")


def test_the_driver_is_asked_once_a_second_however_often_somebody_looks() -> None:
    source, clock = FakeSource([H100]), Clock()
    gpus = reader(source, clock)
    for _ in range(5):
        assert gpus.read() == ((H100,), "")
    assert source.asked == 1
    clock.now += INTERVAL
    gpus.read()
    assert source.asked == 2


def test_a_driver_that_hangs_costs_the_deadline_once_and_leaves_no_figure() -> None:
    source, clock = FakeSource([H100]), Clock()
    gpus = reader(source, clock, deadline=0.02)
    source.gate.clear()
    gpus.read()
    source.gate.set()
    until(lambda: gpus.read() == ((H100,), ""))  # it came late; nothing waits any more
    clock.now += 10
    source.gate.clear()
    began = time.monotonic()
    assert gpus.read() == ((Gpu("0", "NVIDIA H100"),), SILENT)
    threads = threading.active_count()
    for _ in range(50):
        clock.now += 10
        assert gpus.read()[1] == SILENT
    assert time.monotonic() - began < 1.0
    assert threading.active_count() == threads
    assert source.asked == 2
    source.gate.set()
    until(lambda: gpus.read() == ((H100,), ""))


def test_opening_may_hang_as_well() -> None:
    gate = threading.Event()

    def open_source() -> FakeSource:
        gate.wait()
        return FakeSource([H100])

    gpus = GpuReader(open_source, deadline=0.01)
    assert gpus.read() == ((), SILENT)
    gate.set()
    until(lambda: gpus.read() == ((H100,), ""))


def test_after_an_error_the_gpus_stay_listed_without_figures_and_are_tried_again_later() -> None:
    source, clock = FakeSource([H100]), Clock()
    gpus = reader(source, clock)
    gpus.read()
    source.answer = OSError("lost \x1b[31m")
    clock.now += INTERVAL
    assert gpus.read() == ((Gpu("0", "NVIDIA H100"),), "NVIDIA driver: lost \\x1b[31m")
    source.answer = [H100]
    clock.now += INTERVAL
    assert gpus.read()[0] == (Gpu("0", "NVIDIA H100"),)
    clock.now += AGAIN
    assert gpus.read() == ((H100,), "")


def test_a_driver_without_any_figure_is_said_to_have_none() -> None:
    known, note = reader(FakeSource([Gpu("0", "NVIDIA H100")]), Clock()).read()
    assert known == (Gpu("0", "NVIDIA H100"),)
    assert "no figures" in note


def test_no_gpu_is_a_fact_in_three_words() -> None:
    def none() -> FakeSource:
        raise NoGpu(NO_GPU)

    assert GpuReader(none).read() == ((), "no NVIDIA GPU")


def test_a_reading_without_a_host_source_still_has_its_gpus(tmp_path: Path) -> None:
    class Broken:
        def read(self, pid: int | None, folder: Path) -> tuple[Host, frozenset[int]]:
            raise RuntimeError("no /proc")

    reading = GaugeReader(lambda: FakeSource([H100]), Broken).read(None, tmp_path)
    assert (reading.host, reading.gpus) == (Host(), (H100,))


# NVML, by a library that does as if.


class Library(SimpleNamespace):
    """Functions of pynvml that a test gives; the others are not supported."""

    nvmlMemory_v2 = 2  # noqa: N815

    def __getattr__(self, name: str) -> Any:
        def unsupported(*arguments: object) -> object:
            raise OSError("not supported")

        return unsupported


def memory(used: Any, total: Any, reserved: Any) -> SimpleNamespace:
    return SimpleNamespace(used=used, total=total, reserved=reserved)


def library(**functions: Any) -> Library:
    common = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: f"gpu{index}",
        "nvmlDeviceGetName": lambda handle: f"NVIDIA {handle}",
        "nvmlDeviceGetMemoryInfo": lambda handle, version=None: memory(10, 100, 5),
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=97),
        "nvmlDeviceGetTemperature": lambda handle, sensor: 61,
        "nvmlDeviceGetPowerUsage": lambda handle: 512_000,
        "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 700_000,
    }
    return Library(**common | functions)


def test_all_figures_in_their_units() -> None:
    expected = Gpu("0", "NVIDIA gpu0", 10, 5, 100, None, 0.97, 61.0, 512.0, 700.0)
    assert Nvml(library()).read(frozenset()) == [expected]


def refused(*arguments: object) -> object:
    raise OSError("not supported")


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ("nvmlDeviceGetMemoryInfo", "memory_used"),
        ("nvmlDeviceGetUtilizationRates", "utilisation"),
        ("nvmlDeviceGetTemperature", "temperature"),
        ("nvmlDeviceGetPowerUsage", "power"),
        ("nvmlDeviceGetEnforcedPowerLimit", "power_limit"),
        ("nvmlDeviceGetName", "name"),
    ],
)
def test_what_the_driver_refuses_is_missing_and_the_rest_is_there(function: str, field: str) -> None:
    whole = Nvml(library()).read(frozenset())[0]
    gpu = Nvml(library(**{function: refused})).read(frozenset())[0]
    assert getattr(gpu, field) == ("" if field == "name" else None)
    kept = [name for name in ("memory_total", "utilisation", "temperature", "power") if name != field]
    kept = [name for name in kept if field != "memory_used" or name != "memory_total"]
    assert all(getattr(gpu, name) == getattr(whole, name) for name in kept)


@pytest.mark.parametrize("bad", [2**64 - 1, -1, None, "12", float("nan")])
def test_absurd_figures_are_missing(bad: Any) -> None:
    gpu = Nvml(
        library(
            nvmlDeviceGetMemoryInfo=lambda handle, version=None: memory(bad, bad, bad),
            nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=bad),
            nvmlDeviceGetTemperature=lambda handle, sensor: bad,
            nvmlDeviceGetPowerUsage=lambda handle: bad,
            nvmlDeviceGetEnforcedPowerLimit=refused,
        )
    ).read(frozenset())[0]
    assert gpu.silent


def test_an_older_driver_counts_what_it_reserves_as_used() -> None:
    def asked(handle: str, version: int | None = None) -> object:
        if version is not None:
            raise OSError("function not found")
        return SimpleNamespace(used=15, total=100)

    gpu = Nvml(library(nvmlDeviceGetMemoryInfo=asked)).read(frozenset())[0]
    assert (gpu.memory_used, gpu.memory_reserved, gpu.memory_total) == (15, None, 100)


def test_mig_slices_are_rows_with_memory_and_without_the_figures_of_the_whole() -> None:
    def slice_of(handle: str, number: int) -> str:
        if number > 1:
            raise OSError("not found")
        return f"{handle}-slice{number}"

    found = Nvml(
        library(
            nvmlDeviceGetMigMode=lambda handle: [1, 1],
            nvmlDeviceGetMaxMigDeviceCount=lambda handle: 7,
            nvmlDeviceGetMigDeviceHandleByIndex=slice_of,
        )
    ).read(frozenset())
    assert [(gpu.label, gpu.name, gpu.memory_total) for gpu in found] == [
        ("0:0", "NVIDIA gpu0-slice0", 100),
        ("0:1", "NVIDIA gpu0-slice1", 100),
    ]
    assert all((gpu.utilisation, gpu.temperature, gpu.power) == (None, None, None) for gpu in found)


def test_a_gpu_that_fell_off_the_bus_is_listed_and_the_others_are_read() -> None:
    def handle(index: int) -> str:
        if index == 1:
            raise OSError("GPU is lost")
        return f"gpu{index}"

    found = Nvml(library(nvmlDeviceGetCount=lambda: 3, nvmlDeviceGetHandleByIndex=handle)).read(frozenset())
    assert [gpu.silent for gpu in found] == [False, True, False]


def test_no_gpu_at_all_is_said_so() -> None:
    with pytest.raises(NoGpu):
        Nvml(library(nvmlDeviceGetCount=lambda: 0))


def test_a_machine_without_the_library_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcore.gauges.nvml.LIBRARY", "libno-such-thing.so.1")
    with pytest.raises(NoGpu):
        open_nvml()


def test_the_worker_s_share_is_the_sum_of_its_processes_and_asked_rarely() -> None:
    asked = []

    def processes(handle: str) -> list[object]:
        asked.append(handle)
        return [
            SimpleNamespace(pid=7, usedGpuMemory=3),
            SimpleNamespace(pid=8, usedGpuMemory=4),
            SimpleNamespace(pid=9, usedGpuMemory=50),
            SimpleNamespace(pid=7, usedGpuMemory=None),
        ]

    clock = Clock()
    nvml = Nvml(library(nvmlDeviceGetComputeRunningProcesses=processes), clock)
    ours = frozenset({7, 8})
    assert [nvml.read(ours)[0].memory_worker for _ in range(5)] == [7] * 5
    assert len(asked) == 1
    clock.now += PROCESS_SECONDS
    nvml.read(ours)
    assert len(asked) == 2
    assert nvml.read(frozenset({1}))[0].memory_worker is None  # another worker, not seen from here


def test_a_slow_list_of_processes_is_asked_ever_more_rarely() -> None:
    clock, asked = Clock(), []

    def processes(handle: str) -> list[object]:
        asked.append(clock.now)
        clock.now += 0.1  # such as under the lock of a busy driver
        return []

    nvml = Nvml(library(nvmlDeviceGetComputeRunningProcesses=processes), clock)
    for _ in range(500):
        nvml.read(frozenset({7}))
        clock.now += 1
    assert len(asked) == 5


# The host, for real.


def test_this_machine_has_figures_within_their_ranges(tmp_path: Path) -> None:
    clock = Clock()
    host = PsutilHost(clock)
    host.read(os.getpid(), tmp_path)
    spin_until_the_processor_counts()
    clock.now += 1
    found, pids = host.read(os.getpid(), tmp_path)
    assert os.getpid() in pids
    assert found.cpu is not None and 0 <= found.cpu <= 1
    assert found.memory_used is not None and found.memory_total is not None
    assert 0 < found.memory_used < found.memory_total
    assert found.disk_free is not None and found.disk_total is not None
    assert 0 <= found.disk_free <= found.disk_total
    assert found.worker_memory is not None and 1 << 20 < found.worker_memory < found.memory_total
    assert found.worker_cpu is not None and found.worker_cpu > 0


def test_the_first_reading_has_no_shares_of_time(tmp_path: Path) -> None:
    found, _ = PsutilHost().read(os.getpid(), tmp_path)
    assert (found.cpu, found.worker_cpu) == (None, None)


def test_without_a_worker_nothing_is_said_of_one(tmp_path: Path) -> None:
    found, pids = PsutilHost().read(None, tmp_path)
    assert (found.worker_cpu, found.worker_memory, pids) == (None, None, frozenset())


def test_a_worker_that_is_gone_has_no_share(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    found, pids = PsutilHost().read(child, tmp_path)
    assert (found.worker_memory, pids) == (None, frozenset())


def test_a_missing_folder_costs_the_disk_s_figures_only(tmp_path: Path) -> None:
    found, _ = PsutilHost().read(None, tmp_path / "gone")
    assert (found.disk_free, found.disk_total) == (None, None)
    assert found.memory_total is not None


def test_a_system_that_refuses_everything_gives_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> object:
        raise PermissionError

    monkeypatch.setattr(gauges_host.psutil, "virtual_memory", refuse)
    monkeypatch.setattr(gauges_host.psutil, "cpu_times", refuse)
    monkeypatch.setattr(gauges_host.psutil, "Process", refuse)
    found, _ = PsutilHost().read(os.getpid(), tmp_path)
    assert (found.cpu, found.memory_used, found.worker_memory) == (None, None, None)


def until(condition: Any) -> None:
    """Waits for a thread."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def spin_until_the_processor_counts() -> None:
    """The kernel counts a process's time in ticks of 10 ms."""
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass
