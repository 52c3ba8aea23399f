from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from dlcore.events import EventReader, EventWriter
from dlcore.json_lines import LINE_LIMIT, LineReader
from tests.core.support import largest_file, overwrite


def written(path: Path, count: int = 5) -> list[dict[str, object]]:
    writer = EventWriter(path)
    for number in range(count):
        writer.write("epoch", epoch=number, metrics={"val/loss": 0.5}, note='a "quoted" é\n')
    writer.close()
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_line_is_strict_json_with_seq_first(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    (event,) = written(path, 1)
    assert list(event)[:3] == ["seq", "time", "event"]
    assert path.read_bytes().isascii()
    assert path.stat().st_mode & 0o777 == 0o600


def test_reader_gives_only_what_is_new(tmp_path: Path) -> None:
    writer, reader = EventWriter(tmp_path / "e"), EventReader(tmp_path / "e")
    assert reader.read() == []
    writer.write("a")
    assert [event["event"] for event in reader.read()] == ["a"]
    assert reader.read() == []
    writer.write("b")
    assert [event["event"] for event in reader.read()] == ["b"]


def test_missing_file_has_no_events_yet(tmp_path: Path) -> None:
    reader = EventReader(tmp_path / "e")
    assert reader.read() == []
    EventWriter(tmp_path / "e").write("a")
    assert len(reader.read()) == 1


def test_seq_goes_on_where_the_last_writer_ended(tmp_path: Path) -> None:
    written(tmp_path / "e", 3)
    assert EventWriter(tmp_path / "e").write("resumed") == 4


def test_cut_at_every_byte_keeps_every_whole_event(tmp_path: Path) -> None:
    whole = written(tmp_path / "e")
    data = (tmp_path / "e").read_bytes()
    for size in range(len(data)):
        path = tmp_path / "cut"
        overwrite(path, data[:size])
        reader = EventReader(path)
        lines = data[:size].count(b"\n")
        assert reader.read() == whole[:lines], size
        assert reader.damaged == 0  # an unfinished line is not damage: it may be on its way


def test_cut_at_every_byte_and_written_on(tmp_path: Path) -> None:
    whole = written(tmp_path / "e", 3)
    data = (tmp_path / "e").read_bytes()
    for size in range(len(data)):
        path = tmp_path / "cut"
        overwrite(path, data[:size])
        seq = EventWriter(path).write("resumed")
        *before, last = EventReader(path).read()
        assert last["event"] == "resumed"
        assert last["seq"] == seq == len(before) + 1
        assert before == whole[: len(before)]
        assert len(before) >= data[:size].count(b"\n"), size


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_flip_of_every_byte_keeps_every_intact_event(tmp_path: Path, flip: int) -> None:
    whole = written(tmp_path / "e")
    data = (tmp_path / "e").read_bytes()
    path = tmp_path / "flipped"
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= flip
        overwrite(path, flipped)
        reader = EventReader(path)
        found = reader.read()
        hit = data[:position].count(b"\n")  # the line break belongs to the line it ends
        last = position == len(data) - 1
        assert all(event in found for number, event in enumerate(whole) if number != hit), position
        assert len(found) + reader.damaged >= len(whole) - last


def test_damaged_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "e"
    written(path, 2)
    with path.open("ab") as file:
        file.write(b'\xff\xfe\n{"seq":1}\n[1]\n' + b"[" * 100_000 + b'\n{"seq":true,"event":"x"}\n')
        file.write(b'{"seq":3,"event":"end"}\n')
    reader = EventReader(path)
    assert [event["event"] for event in reader.read()] == ["epoch", "epoch", "end"]
    assert reader.damaged == 5


def test_endless_line_is_skipped_in_bounded_pieces(tmp_path: Path) -> None:
    path = tmp_path / "e"
    path.write_bytes(b"\0" * (3 * LINE_LIMIT) + b'\n{"seq":9,"event":"after"}\n')
    reader = EventReader(path)
    assert [event["seq"] for event in reader.read()] == [9]
    assert reader.damaged == 1


def test_replaced_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "e"
    written(path)
    reader = EventReader(path)
    reader.read()
    (tmp_path / "other").write_bytes(b'{"seq":1,"event":"new"}\n')
    (tmp_path / "other").replace(path)
    assert [event["event"] for event in reader.read()] == ["new"]


def test_values_json_has_no_word_for(tmp_path: Path) -> None:
    EventWriter(tmp_path / "e").write(
        "x",
        metrics={"a": math.nan, "b": np.float32(np.inf), "c": np.float32(0.5), "d": np.int64(3)},
        path=Path("/a/b"),
        shape=(1, 2),
        array=np.arange(3),
        text="\ud800\x1b",
    )
    (event,) = EventReader(tmp_path / "e").read()
    assert event["metrics"] == {"a": None, "b": None, "c": 0.5, "d": 3}
    assert (event["path"], event["shape"], event["array"]) == ("/a/b", [1, 2], [0, 1, 2])


def test_threads_never_share_a_line_or_a_seq(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "e")
    threads = [
        threading.Thread(target=lambda: [writer.write("x", filler="y" * 500) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = EventReader(tmp_path / "e")
    assert [event["seq"] for event in reader.read()] == list(range(1, 401))
    assert reader.damaged == 0


def test_full_disk_costs_the_event_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "e"
    writer = EventWriter(path)
    writer.write("before")
    with largest_file(path.stat().st_size + 10), pytest.raises(OSError):
        writer.write("lost")
    assert writer.write("after") == 2
    reader = EventReader(path)
    assert [(event["seq"], event["event"]) for event in reader.read()] == [(1, "before"), (2, "after")]
    assert reader.damaged == 1


def test_no_space_at_all_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        EventWriter("/dev/full").write("x")


def test_a_fifo_in_place_of_the_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "e")
    assert LineReader(tmp_path / "e").read() == []
