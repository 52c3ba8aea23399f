"""`dltui evaluate`, `predict`, `export`, `report` and `serve`, as typed."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from dlcore.run_dir import RunDir
from tests.core.deploy.small_runs import DIGITS, IRIS, train_text
from tests.end_to_end.processes import ENVIRONMENT
from tui.cli import main


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    train_text(IRIS, folder, name="flowers")
    train_text(DIGITS, folder, name="digits")
    return folder


@pytest.fixture(autouse=True)
def _here(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLTUI_RUNS", str(runs))


def run_of(runs: Path, name: str) -> str:
    (found,) = (path.name for path in runs.iterdir() if path.name.endswith(name))
    return found


def test_evaluate_prints_the_tables(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", run_of(runs, "flowers")]) == 0
    out = capsys.readouterr().out
    for told in (
        "30 samples of the test part of iris",
        "accuracy",
        "classes",
        "confusion matrix",
        "calibration",
    ):
        assert told in out
    assert "\x1b" not in out


def test_evaluate_gives_scripts_all_of_it(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", run_of(runs, "flowers"), "--split", "val", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    recorded = RunDir(runs / run_of(runs, "flowers")).summary()
    assert recorded.best is not None
    assert result["metrics"]["accuracy"] == pytest.approx(recorded.best["value"])
    assert len(result["report"]["confusion"]["cells"]) == 3


def test_predict_answers_the_good_names_the_bad_and_says_so(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (8, 8), 60).save(tmp_path / "good.png")
    (tmp_path / "bad\x1b.png").write_bytes(b"no picture")
    assert main(["predict", run_of(runs, "digits"), "good.png", "bad\x1b.png", "--top", "2"]) == 1
    out, err = capsys.readouterr()
    assert err == "bad\\x1b.png: not a picture\n"
    (line,) = out.splitlines()
    assert line.startswith("good.png")
    assert line.count("%") == 2


def test_predict_gives_csv_and_json(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n")
    assert main(["predict", run_of(runs, "flowers"), "a.csv", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["input"] for row in rows] == ["a.csv:1", "a.csv:2"]
    assert main(["predict", run_of(runs, "flowers"), "a.csv", "--json", "--top", "2"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert [row["prediction"] for row in again] == [row["prediction"] for row in rows]
    assert len(again[0]["probabilities"]) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["predict", "flowers"], "name something to predict"),
        (["predict", "flowers", "a.csv", "--csv", "--json"], "say --json or --csv"),
        (["predict", "flowers", "--count", "3"], "draws nothing"),
        (["export", "flowers", "--to", "onx"], "did you mean 'onnx'?"),
        (["export", "flowers", "--dynamic", "width"], "only the batch can be of any size"),
        (["evaluate", "flowers", "--checkpoint", "first"], "say best, last or a step"),
        (["serve", "flowers", "--host", "0.0.0.0"], "say --anywhere if that is meant"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], sentence: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb, _, *rest = arguments
    assert main([verb, run_of(runs, "flowers"), *rest]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line


def test_export_says_how_close_with_a_card(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", run_of(runs, "flowers"), "--to", "pt2", "--out", "a.pt2"]) == 0
    out = capsys.readouterr().out
    assert "largest difference to the trained network on 16 real samples" in out
    assert (tmp_path / "a.pt2").exists()
    assert "model card: a.pt2.md" in out
    assert (tmp_path / "a.pt2.md").read_text().startswith("# ")


def test_report_writes_a_page(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [run_of(runs, "flowers"), run_of(runs, "digits")]
    assert main(["report", *both, "--out", "both.html"]) == 0
    assert capsys.readouterr().out.startswith("both.html")
    assert "model.name" in (tmp_path / "both.html").read_text()


def test_serve_answers_on_loopback_until_interrupted(runs: Path) -> None:
    command = [sys.executable, "-m", "tui.start", "serve", run_of(runs, "flowers"), "--port", "0"]
    environment = ENVIRONMENT | {"DLTUI_RUNS": str(runs)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split(" answers at ")[1].split()[0]
            assert address.startswith("http://127.0.0.1:")
            request = urllib.request.Request(
                f"{address}/predict", b'{"input": [5.1, 3.5, 1.4, 0.2]}', {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=60) as response:
                assert json.load(response)["prediction"] in ("setosa", "versicolor", "virginica")
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
