"""The progress of a run as lines, as a painted bar, and as the process that the trainer starts for it."""

from __future__ import annotations

import io
import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from rich.console import Console

from dlcore.run_dir import RunDir
from tests.tui.recorded import START, make_run, write_events
from tui.epoch_table import MAX_ROWS
from tui.progress import Pipe, follow
from tui.progress_live import LiveReporter
from tui.reporters import PlainReporter
from tui.run_state import Event
from tui.watch import RunWatch

ROOT = Path(__file__).parents[2]
PAINTER = "import sys; from tui.progress import main; sys.exit(main(sys.argv[1:]))"


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def epoch(seq: int, number: int) -> dict[str, Any]:
    return {
        "seq": seq,
        "time": START + seq,
        "event": "epoch",
        "epoch": number,
        "metrics": {"val/loss": 1 / number},
    }


def replayed(run: RunDir) -> Iterator[tuple[RunWatch, list[Event]]]:
    """A finished recording as a viewer would have seen it live, an event a poll."""
    events = run.events_path.read_bytes().splitlines(keepends=True)
    run.events_path.write_bytes(b"")
    watch = RunWatch(run)
    for line in events:
        with run.events_path.open("ab") as file:
            file.write(line)
        yield watch, watch.poll()


def plain(run: RunDir, seconds_an_event: float) -> list[str]:
    clock, out = Clock(), io.StringIO()
    reporter = PlainReporter(out, clock=clock)
    for watch, fresh in replayed(run):
        clock.now += seconds_an_event
        reporter.update(watch, fresh)
    reporter.finish(watch)
    return out.getvalue().splitlines()


def painted(run: RunDir, width: int = 100, height: int = 30, **terminal: Any) -> str:
    out, clock = io.StringIO(), Clock()
    console = Console(
        file=out,
        force_terminal=True,
        width=width,
        height=height,
        highlight=False,
        markup=False,
        emoji=False,
        **terminal,
    )
    reporter = LiveReporter(out, clock, console)
    for watch, fresh in replayed(run):
        clock.now += 1.0
        reporter.update(watch, fresh)
    reporter.finish(watch)
    return out.getvalue()


def epochs_in(lines: list[str]) -> list[int]:
    found = [re.match(r"epoch ([\d,]+)/", line) for line in lines]
    return [int(match[1].replace(",", "")) for match in found if match]


def rows_in(shown: str, epochs: str) -> list[int]:
    """Epochs of the table's rows, in order, whatever was painted and erased between them."""
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).replace("\r", "\n")
    found = re.findall(rf"^ *([\d,]+)/{epochs}  +\d.*4\.2 s", text, re.MULTILINE)
    return [int(row.replace(",", "")) for row in found]


def test_slow_epochs_have_a_line_each(tmp_path: Path) -> None:
    lines = plain(make_run(tmp_path, epochs=7), seconds_an_event=1.0)
    assert epochs_in(lines) == [1, 2, 3, 4, 5, 6, 7]


def test_fast_epochs_have_a_line_a_second_with_the_first_and_the_last(tmp_path: Path) -> None:
    lines = plain(make_run(tmp_path, epochs=100), seconds_an_event=0.05)  # an epoch is two events
    shown = epochs_in(lines)
    assert (shown[0], shown[-1]) == (1, 100)
    assert 10 <= len(shown) <= 13


def test_an_epoch_line_names_every_figure(tmp_path: Path) -> None:
    line = next(line for line in plain(make_run(tmp_path), 1.0) if line.startswith("epoch 1/20"))
    assert re.fullmatch(
        r"epoch 1/20  train/loss \S+  val/loss \S+  val/accuracy \S+  best  3,420 samples/s  4.2 s", line
    )


def test_the_end_says_what_came_of_it_and_what_to_do_next(tmp_path: Path) -> None:
    *_, end, step = plain(make_run(tmp_path, "mine"), 1.0)
    assert end.startswith(
        "mine finished 20 epochs in 1 min 24 s, test/loss 0.1432  test/accuracy 0.9722, best val/accuracy"
    )
    assert step == f"dltui show {tmp_path / 'mine'}"


def test_a_failure_goes_to_the_errors(tmp_path: Path) -> None:
    out, errors = io.StringIO(), io.StringIO()
    watch = RunWatch(make_run(tmp_path, "mine", status="failed"))
    follow(watch, PlainReporter(out, errors), lambda seconds: True)
    assert errors.getvalue() == (
        "mine failed at epoch 7/20: The loss became non-finite in fc1; try a smaller optimizer.lr.\n"
    )
    assert "failed" not in out.getvalue()


def test_what_fails_before_the_training_is_left_to_the_trainer_to_say(tmp_path: Path) -> None:
    run = make_run(tmp_path, status="starting")
    refused = {"seq": 2, "time": START, "event": "warning", "kind": "refused", "message": "no such file"}
    failed = {"seq": 3, "time": START, "event": "failed", "error": "no such file", "exit": 1}
    write_events(run, [refused, failed])
    assert plain(run, 1.0) == []


def test_a_resume_that_is_refused_does_not_tell_the_old_end_again(tmp_path: Path) -> None:
    run, out = make_run(tmp_path, status="stopped"), io.StringIO()
    before = RunWatch(run)
    before.poll()
    watch = RunWatch(run, after=before.state.seq)
    write_events(
        run, [{"seq": 99, "time": START, "event": "warning", "kind": "refused", "message": "no such file"}]
    )
    follow(watch, PlainReporter(out), lambda seconds: True)
    assert out.getvalue() == ""


def test_warnings_are_lines_of_their_own(tmp_path: Path) -> None:
    assert "warning: 3 rows skipped" in plain(make_run(tmp_path, warnings=("3 rows skipped",)), 1.0)


def test_2000_epochs_are_a_table_that_a_person_can_read(tmp_path: Path) -> None:
    shown = painted(make_run(tmp_path, epochs=2000))
    rows = rows_in(shown, "2,000")
    assert (rows[0], rows[-1]) == (1, 2000)
    assert MAX_ROWS <= len(rows) <= MAX_ROWS + 1


def test_20_epochs_have_a_row_each(tmp_path: Path) -> None:
    assert rows_in(painted(make_run(tmp_path, epochs=20)), "20") == list(range(1, 21))


def test_nothing_is_painted_while_nothing_changes(tmp_path: Path) -> None:
    run, out = make_run(tmp_path, status="paused"), io.StringIO()
    reporter = LiveReporter(out, Clock(), Console(file=out, force_terminal=True, width=80, height=24))
    with run.lock():
        watch = RunWatch(run)
        reporter.update(watch, watch.poll())
        written = out.tell()
        for _ in range(5):
            reporter.update(watch, watch.poll())
        assert written > 0
        assert out.tell() == written


@pytest.mark.parametrize(("width", "height"), [(1, 1), (10, 3), (80, 24), (250, 60)])
def test_any_size_of_terminal_will_do(tmp_path: Path, width: int, height: int) -> None:
    assert "20" in painted(make_run(tmp_path), width, height).replace("\n", "")


@pytest.mark.parametrize("show", [painted, lambda run: "\n".join(plain(run, 1.0))])
def test_a_hostile_run_shows_its_text_and_commands_nothing(tmp_path: Path, show: Any) -> None:
    shown = show(make_run(tmp_path, "evil\x1b[31m\n", status="failed", hostile=True))
    ours = re.compile(r"\x1b\[[0-9;]*[mKA]|\x1b\[\?25[hl]")  # styles, erasing and moving up, the cursor
    rest = ours.sub("", shown).replace("\n", "").replace("\r", "")
    assert rest.isprintable()
    assert "\\x1b]0;owned" in rest
    assert "[bold]x" in rest.replace("\n", "")


def test_no_colour_means_no_colour(tmp_path: Path) -> None:
    shown = painted(make_run(tmp_path), no_color=True)
    assert not re.search(r"\x1b\[[0-9;]*3[1-7]", shown)


def test_following_ends_with_the_run(tmp_path: Path) -> None:
    out = io.StringIO()
    run = make_run(tmp_path, "mine", status="running")
    lock, looks = run.lock(), []

    def wait(seconds: float) -> bool:
        looks.append(seconds)
        if len(looks) == 2:
            write_events(
                run,
                [epoch(100, 8), {"seq": 101, "time": 1.0, "event": "stopped", "by": "SIGTERM", "exit": 143}],
            )
        if len(looks) == 3:
            lock.release()
        return len(looks) > 5

    follow(RunWatch(run), PlainReporter(out), wait)
    assert len(looks) == 3
    assert "mine stopped at epoch 8/20 by SIGTERM, saved" in out.getvalue()


def test_a_run_stopped_before_its_first_step_has_nothing_saved(tmp_path: Path) -> None:
    run, out = make_run(tmp_path, "mine", status="starting"), io.StringIO()
    write_events(run, [{"seq": 2, "time": START, "event": "stopped", "by": "SIGINT", "exit": 130}])
    follow(RunWatch(run), PlainReporter(out), lambda seconds: True)
    assert out.getvalue().startswith("mine stopped by ctrl+c before the first step\n")


def test_a_run_whose_lock_is_let_go_without_a_word_has_died(tmp_path: Path) -> None:
    out = io.StringIO()
    run = make_run(tmp_path, "mine", status="running")
    lock = run.lock()

    def wait(seconds: float) -> bool:
        lock.release()
        return False

    follow(RunWatch(run), PlainReporter(out), wait)
    assert "mine died at epoch 7/20" in out.getvalue()
    assert "dltui resume" in out.getvalue()


def test_a_resumed_run_does_not_show_its_past_again(tmp_path: Path) -> None:
    run, out = make_run(tmp_path, "mine", status="stopped"), io.StringIO()
    before = RunWatch(run)
    before.poll()
    seq = before.state.seq
    watch, reporter = RunWatch(run, after=seq), PlainReporter(out)
    with run.lock():
        reporter.update(watch, watch.poll())
        assert not watch.over
        write_events(run, [{"seq": seq + 1, "time": START, "event": "resumed", "step": 161, "epoch": 7}])
        write_events(run, [{"seq": seq + 2, "time": START, "event": "started"}, epoch(seq + 3, 8)])
        reporter.update(watch, watch.poll())
    lines = out.getvalue().splitlines()
    assert epochs_in(lines) == [8]
    assert "resumed at step 161" in lines


def test_the_loss_within_an_epoch_comes_from_the_end_of_its_series(tmp_path: Path) -> None:
    watch = RunWatch(make_run(tmp_path, nan_from=20))
    assert math.isnan(watch.recent("train/loss", steps=30) or 0.0)
    assert watch.recent("train/lr", steps=3) == pytest.approx(1e-3)
    assert watch.recent("nobody/knows") is None


def test_a_pipe_gives_its_line_and_then_its_end() -> None:
    reading, writing = os.pipe()
    pipe = Pipe(reading, parent=None)
    try:
        assert (pipe.wait(0), pipe.line()) == (False, None)
        os.write(writing, b'{"run": ')
        assert (pipe.wait(0), pipe.line()) == (False, None)
        os.write(writing, b'"x"}\n')
        os.close(writing)
        assert (pipe.wait(0), pipe.line()) == (False, b'{"run": "x"}')
        assert pipe.wait(0)
    finally:
        os.close(reading)


def test_a_trainer_that_is_gone_ends_the_wait_even_when_others_hold_its_pipe() -> None:
    reading, writing = os.pipe()
    try:
        assert not Pipe(reading, parent=os.getppid()).wait(0)
        assert Pipe(reading, parent=os.getppid() + 1).wait(0)
    finally:
        os.close(reading)
        os.close(writing)


@pytest.fixture
def painter() -> Iterator[subprocess.Popen[bytes]]:
    """The painting process as the trainer starts it, its output in pipes."""
    process = subprocess.Popen(
        [sys.executable, "-c", PAINTER, "--parent-pid", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    with process:
        yield process
        process.kill()


def tell(stream: IO[bytes] | None, run: RunDir) -> None:
    assert stream is not None
    stream.write(json.dumps({"run": str(run.path), "after": 0}).encode() + b"\n")
    stream.flush()


def test_ctrl_c_is_the_trainer_s_to_answer(tmp_path: Path, painter: subprocess.Popen[bytes]) -> None:
    run = make_run(tmp_path, "mine", status="running")
    with run.lock():
        tell(painter.stdin, run)
        assert painter.stdout is not None
        assert painter.stdout.readline().startswith(b"mine  cnn on digits")
        painter.send_signal(signal.SIGINT)
        painter.send_signal(signal.SIGTERM)
        write_events(run, [{"seq": 90, "time": 1.0, "event": "stopped", "by": "SIGINT", "exit": 130}])
    out, errors = painter.communicate(timeout=30)
    assert b"mine stopped at epoch 7/20 by ctrl+c, saved" in out
    assert (painter.returncode, errors) == (0, b"")


def test_a_trainer_that_cannot_start_needs_no_painting(painter: subprocess.Popen[bytes]) -> None:
    assert painter.communicate(timeout=30) == (b"", b"")
    assert painter.returncode == 0


def test_output_that_nobody_reads_is_no_error(tmp_path: Path, painter: subprocess.Popen[bytes]) -> None:
    assert painter.stdout is not None
    painter.stdout.close()
    tell(painter.stdin, make_run(tmp_path, status="finished"))
    assert painter.stdin is not None and painter.stderr is not None
    painter.stdin.close()
    assert painter.wait(30) == 0
    assert painter.stderr.read() == b""


def test_painting_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from tui.progress import main; from tui import progress_live; main(sys.argv[1:]);"
        "print(sorted({'torch', 'sklearn', 'textual', 'typer'} & set(sys.modules)))"
    )
    run = make_run(tmp_path)
    with run.lock() as lock:
        command = [sys.executable, "-c", code, str(run.path)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        lock.release()
    out, _ = process.communicate(timeout=30)
    assert out.splitlines()[-1] == "[]"
