"""The report page: whole, self-contained, and safe against what a run may hold."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dlcore.deploy.report import evaluate_runs, report
from dlcore.deploy.svg import Line, chart, ticks
from dlcore.run_dir import RunDir
from tests.core.deploy.chromium import CHROMIUM, look
from tests.core.deploy.small_runs import DIABETES, DIGITS, IRIS, SCENES

TrainedOnce = Callable[[str], RunDir]
VOID = {"meta", "link", "img", "br", "path"}


class Page(HTMLParser):
    """Tags, texts and whatever would make a browser ask for something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.asks: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.asks += [v for name, v in attrs if name in ("src", "href") and v and not v.startswith("data:")]
        self.asks += [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize(
    "text", [IRIS, DIABETES, DIGITS, SCENES], ids=["rows", "numbers", "pictures", "masks"]
)
def test_a_page_is_well_formed_and_asks_for_nothing(text: str, trained_once: TrainedOnce) -> None:
    run = trained_once(text)
    found, notes = evaluate_runs([run])
    assert notes == []
    whole = report([run], found)
    page = Page(whole)
    assert page.open == []
    assert page.asks == []
    assert "script" not in page.tags
    assert "url(" not in whole
    assert "default-src 'none'" in whole
    shown = " ".join(page.texts)
    for told in (
        "Metrics",
        "Environment",
        "Preset",
        "train/loss",
        f"test part, {found[run.name]['samples']:,}",
    ):
        assert told in shown
    assert "svg" in page.tags
    assert ("img" in page.tags) == (text in (DIGITS, SCENES))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_browser_asks_for_nothing_and_has_nothing_to_complain_of(
    trained_once: TrainedOnce, tmp_path: Path
) -> None:
    runs = [trained_once(text) for text in (IRIS, DIGITS, DIABETES, SCENES)]
    found, _ = evaluate_runs(runs)
    for name, chosen in (("one", runs[1:2]), ("several", runs)):
        path = tmp_path / f"{name}.html"
        path.write_text(report(chosen, found), "utf-8")
        seen = look(path, tmp_path / "profile")
        assert seen.requests == [path.as_uri()]
        assert seen.complaints == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_browser_would_tell(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text('<img src="https://example.invalid/a.png"><script>nothing()</script>')
    seen = look(page, tmp_path / "profile")
    assert seen.requests[1:] == ["https://example.invalid/a.png"]
    assert "nothing is not defined" in "".join(seen.complaints)


def test_several_runs_are_compared(trained_once: TrainedOnce, tmp_path: Path) -> None:
    first = trained_once(IRIS)
    second = RunDir(shutil.copytree(first.path, tmp_path / "other"))
    preset = second.preset_path.read_text().replace("widths = [16]", "widths = [32]")
    second.preset_path.write_text(preset)
    whole = report([first, second], {})
    page = Page(whole)
    assert page.open == []
    rows = re.findall(r"<tr><td>model\.widths</td><td>(.*?)</td><td>(.*?)</td></tr>", whole)
    assert rows == [("[16]", "[32]")]
    assert "data.name" not in re.findall(r"<tr><td>(\w+\.\w+)</td>", whole)
    assert whole.count("● other</text>") == len(re.findall(r"<title>val/\w+</title>", whole)) > 1


EVIL = "<script>alert(1)</script>\x1b[31m\u202e&\"'"


def test_nothing_in_a_run_becomes_markup(trained_once: TrainedOnce, tmp_path: Path) -> None:
    run = RunDir(shutil.copytree(trained_once(DIGITS).path, tmp_path / "run"))
    about = json.loads(run.run_json_path.read_text())
    about["spec"]["class_names"] = [EVIL] * 10
    about["fingerprint"][EVIL] = EVIL
    about["command"] = [EVIL]
    run.run_json_path.write_text(json.dumps(about))
    state = json.loads(run.state_path.read_text())
    run.state_path.write_text(json.dumps(state | {"model": EVIL, "error": EVIL, "status": "failed"}))
    with run.events_path.open("a") as file:
        file.write(json.dumps({"seq": 10**6, "time": 0, "event": "warning", "message": EVIL}) + "\n")
    (run.preset_path).write_text(f"# {EVIL}\n" + run.preset_path.read_text())
    evaluation = {
        "split": EVIL, "samples": 1, "metrics": {EVIL: 0.5},
        "report": {"x": {"kind": "matrix", "title": EVIL, "names": [EVIL], "cells": [[1]], "note": EVIL}},
    }  # fmt: skip
    whole = report([run], {run.name: evaluation}, title=EVIL)
    page = Page(whole)
    assert page.open == []
    assert "script" not in page.tags
    assert "\x1b" not in whole
    assert "\u202e" not in whole
    assert sum(text.count("<script>") for text in page.texts) > 8  # shown, as text


@pytest.mark.parametrize(
    "damage", [b"", b"\x00\xff", b"[" * 10_000, b'{"samples": [{"pixels": "x"}, 3, {}]}']
)
def test_a_damaged_run_still_has_a_page(trained_once: TrainedOnce, tmp_path: Path, damage: bytes) -> None:
    run = RunDir(shutil.copytree(trained_once(DIGITS).path, tmp_path / "run"))
    for path in (run.run_json_path, run.state_path, run.preset_path, *run.samples_path.iterdir()):
        path.write_bytes(damage)
    assert Page(report([run], {})).open == []


class TestChart:
    def test_what_is_not_finite_is_left_out(self) -> None:
        values = np.array([1.0, np.nan, np.inf, 2.0])
        svg = chart("loss", [Line("a", np.arange(4), values)])
        assert "nan" not in svg
        assert "inf" not in svg

    def test_there_is_none_of_nothing(self) -> None:
        assert chart("loss", [Line("a", np.empty(0), np.empty(0))]) == ""

    def test_a_million_points_stay_small(self) -> None:
        x = np.arange(1_000_000)
        assert len(chart("loss", [Line("a", x, np.sin(x / 1e4))])) < 20_000

    def test_a_single_point_and_a_flat_line_are_drawn(self) -> None:
        assert "<path" in chart("loss", [Line("a", np.array([3]), np.array([0.0]))])
        assert "<path" in chart("loss", [Line("a", np.arange(5), np.full(5, 1e-300))])

    @pytest.mark.parametrize(("low", "high"), [(0, 1), (-3e5, 7e8), (1e-9, 2e-9), (0.1, 0.10001)])
    def test_ticks_are_round_and_within(self, low: float, high: float) -> None:
        found = ticks(low, high)
        assert 2 <= len(found) <= 8
        assert all(low - 1e-12 <= tick <= high + 1e-12 for tick in found)
