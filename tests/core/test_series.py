from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlcore import series
from dlcore.series import Series, SeriesFollower, SeriesWriter, decimate
from dlcore.series.records import pack
from tests.core.support import largest_file, names_in, overwrite

NOW = 1_763_680_502.25
SIZE = 24


def write(folder: Path, steps: list[int], name: str = "train/loss") -> list[tuple[int, float]]:
    """Adds points whose values are all different; returns them."""
    start = len(series.read(folder, name)) + 0.5
    points = [(step, start + position + step / 1000) for position, step in enumerate(steps)]
    writer = SeriesWriter(folder)
    writer.append(name, steps, [NOW + step for step in steps], [value for _, value in points])
    writer.close()
    return points


def points(found: Series) -> list[tuple[int, float]]:
    return list(zip(found.step.tolist(), found.value.tolist(), strict=True))


def superseded(written: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The definition, spelled out: a point goes when a later one has its step or a lower one."""
    return [p for n, p in enumerate(written) if all(later[0] > p[0] for later in written[n + 1 :])]


def follow(path: Path) -> Series:
    follower = SeriesFollower(path)
    follower.poll()
    return follower.series


def test_points_come_back(tmp_path: Path) -> None:
    written = write(tmp_path, [1, 2, 5])
    found = series.read(tmp_path, "train/loss")
    assert points(found) == written
    assert found.time == pytest.approx([NOW + 1, NOW + 2, NOW + 5], abs=1e-4)
    assert found.damaged == 0


def test_file_is_an_ordinary_array(tmp_path: Path) -> None:
    write(tmp_path, [3])
    data = (tmp_path / "train.loss").read_bytes()
    step, time, _ = struct.unpack("<qdd", data)
    assert step == 3
    assert time == pytest.approx(NOW + 3, abs=1e-4)
    assert (tmp_path / "train.loss").stat().st_mode & 0o777 == 0o600


def test_scalars_lists_and_arrays_mix(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)
    writer.append("a", 1, 5.0, 0.5)
    writer.append("a", np.array([2, 3]), 6.0, [np.float32(1.5), np.nan])
    writer.append("a", [], [], [])
    writer.close()
    found = series.read(tmp_path, "a")
    assert found.step.tolist() == [1, 2, 3]
    assert found.time.tolist() == [5.0, 6.0, 6.0]
    assert found.value.tolist()[:2] == [0.5, 1.5]
    assert np.isnan(found.value[2])


@given(st.integers(0, 10**12), st.floats(0, 4e9), st.floats())
def test_a_single_point_is_packed_like_an_array(step: int, time: float, value: float) -> None:
    assert pack(step, time, value) == pack([step], [time], [value])


def test_nothing_is_written_before_the_flush(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)
    writer.append("a", 1, NOW, 0.5)
    assert series.names(tmp_path) == []
    writer.flush()
    assert series.names(tmp_path) == ["a"]
    writer.close()


@pytest.mark.parametrize(
    "name", ["", "/", "//", "a//b", "../x", "a.b", "a b", "/a", "a/", "é", "a\n", "x" * 300]
)
def test_bad_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="bad metric name"):
        SeriesWriter(tmp_path).append(name, 1, NOW, 0.0)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("steps", [[-1], [10**13], [[1, 2]], [1, 2, 3]])
def test_bad_points_are_refused(tmp_path: Path, steps: list[int]) -> None:
    with pytest.raises(ValueError):
        SeriesWriter(tmp_path).append("a", steps, NOW, [0.0, 1.0])


def test_names_are_those_of_the_metrics(tmp_path: Path) -> None:
    for name in ("val/top-5", "train/loss"):
        write(tmp_path, [1], name)
    (tmp_path / "not a metric").touch()
    assert series.names(tmp_path) == ["train/loss", "val/top-5"]
    assert series.names(tmp_path / "missing") == []


@pytest.mark.parametrize("make", [lambda path: None, Path.touch, Path.mkdir, os.mkfifo])
def test_missing_empty_and_strange_files_are_empty_series(tmp_path: Path, make: object) -> None:
    path = tmp_path / "a"
    make(path)  # type: ignore[operator]
    assert len(series.read(path)) == len(follow(path)) == 0


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=6), max_size=5))
def test_later_records_supersede(tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]]) -> None:
    folder = tmp_path_factory.mktemp("series")
    written = []
    follower = SeriesFollower(folder, "train/loss")
    for steps in parts:
        written += write(folder, steps)
        follower.poll()
    assert points(series.read(folder, "train/loss")) == superseded(written)
    assert points(follower.series) == superseded(written)


def test_cut_at_every_byte_keeps_every_whole_record(tmp_path: Path) -> None:
    written = write(tmp_path, list(range(1, 9)))
    data = (tmp_path / "train.loss").read_bytes()
    path = tmp_path / "cut"
    for size in range(len(data)):
        overwrite(path, data[:size])
        assert points(series.read(path)) == points(follow(path)) == written[: size // SIZE]
        writer = SeriesWriter(tmp_path)
        writer.append("cut", 100, NOW, 7.0)
        writer.close()
        assert points(series.read(path)) == [*written[: size // SIZE], (100, 7.0)]


@pytest.mark.parametrize("flip", [0x01, 0x10, 0x80, 0xFF])
def test_flip_of_every_byte_keeps_every_intact_record(tmp_path: Path, flip: int) -> None:
    written = write(tmp_path, list(range(0, 12))) + write(tmp_path, list(range(8, 16)))
    data = (tmp_path / "train.loss").read_bytes()
    path = tmp_path / "flipped"
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= flip
        overwrite(path, flipped)
        found = series.read(path)
        hit = position // SIZE
        assert points(found) == superseded([*written[:hit], *written[hit + 1 :]]), position
        assert found.damaged == 1
        assert points(follow(path)) == points(found)


def test_block_of_zeros_after_a_power_cut_is_skipped(tmp_path: Path) -> None:
    written = write(tmp_path, [1, 2])
    with (tmp_path / "train.loss").open("ab") as file:
        file.write(bytes(10 * SIZE))
    written += write(tmp_path, [3])
    found = series.read(tmp_path, "train/loss")
    assert points(found) == written
    assert found.damaged == 10


def test_records_of_other_programs_are_read_but_for_absurd_ones(tmp_path: Path) -> None:
    steps = np.arange(100)
    records = np.zeros(100, "<i8,<f8,<f8")
    records["f0"], records["f1"], records["f2"] = steps, NOW + 0.1 * steps, np.sin(steps)
    records["f0"][40] = -7
    records["f1"][50] = np.nan
    records.tofile(tmp_path / "a")
    found = series.read(tmp_path, "a")
    assert found.step.tolist() == [step for step in range(100) if step not in (40, 50)]
    assert found.damaged == 2


def test_follower_takes_in_only_what_is_new(tmp_path: Path) -> None:
    follower = SeriesFollower(tmp_path, "train/loss")
    assert not follower.poll()
    written = write(tmp_path, [1, 2])
    assert follower.poll()
    assert not follower.poll()
    written += write(tmp_path, [3])
    assert follower.poll()
    assert points(follower.series) == written


def test_follower_never_changes_what_it_gave_out(tmp_path: Path) -> None:
    follower = SeriesFollower(tmp_path, "train/loss")
    written = write(tmp_path, [1, 2, 3, 4])
    follower.poll()
    before = follower.series
    write(tmp_path, [2, 3])
    follower.poll()
    assert points(before) == written
    assert [step for step, _ in points(follower.series)] == [1, 2, 3]


def test_follower_starts_over_with_a_replaced_file(tmp_path: Path) -> None:
    write(tmp_path, [1, 2, 3])
    follower = SeriesFollower(tmp_path, "train/loss")
    follower.poll()
    (tmp_path / "train.loss").unlink()
    written = write(tmp_path, [7])
    follower.poll()
    assert points(follower.series) == written


def test_read_during_appends_sees_a_prefix(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)
    for step in range(50):
        writer.append("a", step, NOW, float(step))
        writer.flush()
        assert series.read(tmp_path, "a").step.tolist() == list(range(step + 1))
    writer.close()


def test_full_disk_delays_points_and_loses_none(tmp_path: Path) -> None:
    writer = SeriesWriter(tmp_path)
    writer.append("a", range(10), NOW, range(10))
    with largest_file(3 * SIZE + 5), pytest.raises(OSError, match=r"/a'"):
        writer.flush()
    assert len(series.read(tmp_path, "a")) == 3
    writer.append("a", 10, NOW, 10)
    writer.close()
    assert series.read(tmp_path, "a").value.tolist() == list(range(11))


def test_disk_full_for_ever_costs_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "_KEEP_BYTES", 10 * SIZE)
    writer = SeriesWriter(tmp_path)
    with largest_file(SIZE + 7):
        for start in range(0, 100, 10):
            writer.append("a", range(start, start + 10), NOW, 0.0)
            with pytest.raises(OSError):
                writer.flush()
    writer.close()
    found = series.read(tmp_path, "a")
    assert found.damaged == 0
    assert found.step.tolist()[:2] == [0, 1]  # whole, and half in the file when the disk filled up
    assert found.step.tolist()[-8:] == list(range(92, 100))
    assert len(found) + writer.dropped == 100


def test_decimation_keeps_a_spike_of_one_point() -> None:
    value = np.zeros(1_000_000)
    value[654_321] = 1.0
    x, y, gaps = decimate(np.arange(len(value)), value, 400)
    assert x[y.argmax()] == 654_321
    assert len(x) <= 400
    assert len(gaps) == 0


@given(st.lists(st.floats(width=32), max_size=300), st.integers(-1, 40))
def test_decimation_keeps_extremes_ends_and_order(values: list[float], width: int) -> None:
    value = np.array(values, np.float64)
    x, y, gaps = decimate(np.arange(len(value)), value, width)
    finite = np.flatnonzero(np.isfinite(value))
    assert len(x) <= max(width, 4)
    assert len(gaps) <= max(width, 4)
    assert np.all(np.diff(x) > 0)
    assert np.array_equal(y, value[x])
    assert set(gaps) <= set(np.flatnonzero(~np.isfinite(value)))
    assert (len(gaps) > 0) == (len(finite) < len(value))
    if len(finite):
        assert (x[0], x[-1]) == (finite[0], finite[-1])
        if width > 5:
            assert (y.min(), y.max()) == (value[finite].min(), value[finite].max())
