"""`dltui report`: one page about a run, or about several beside each other."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcore import series
from dlcore.deploy import page
from dlcore.deploy.curves import charts, groups, lines
from dlcore.deploy.svg import chart
from dlcore.errors import UserError
from dlcore.events import EventReader
from dlcore.json_lines import decode
from dlcore.preset.toml import to_toml
from dlcore.run_dir import RunDir
from dlcore.run_dir.summary import RunSummary

MOST_SAMPLES = 24
MOST_EVENTS = 200
LARGEST_SAMPLES = 16 << 20  # bytes of a file of samples that is still read


def report(runs: Sequence[RunDir], evaluations: Mapping[str, Mapping[str, Any]], title: str = "") -> str:
    """The page.

    Args:
        evaluations: by the run's name, what `evaluate` said of it; runs may be missing.
    """
    if len(runs) == 1:
        (run,) = runs
        heading = title or run.name
        parts = [f"<h1>{page.text(heading)}</h1>", *_run(run, evaluations.get(run.name))]
        return page.page(heading, [*parts, _foot()])
    heading = title or f"{len(runs)} runs"
    parts = [f"<h1>{page.text(heading)}</h1>", *_comparison(runs, evaluations)]
    for run in runs:
        inside = "\n".join(_run(run, evaluations.get(run.name)))
        parts.append(f"<details><summary>{page.text(run.name)}</summary>{inside}</details>")
    return page.page(heading, [*parts, _foot()])


def _foot() -> str:
    return f'<p class="note">written by dltui on {time.strftime("%Y-%m-%d %H:%M")}</p>'


def _run(run: RunDir, evaluation: Mapping[str, Any] | None) -> list[str]:
    summary = run.summary()
    about, events = _json(run.run_json_path), EventReader(run.events_path).read()
    drawn = charts(run.metrics_path)
    facts, metrics = _facts(summary, events), _heading("Metrics", _metrics(summary, run))
    parts = [
        f'<div class="beside"><div>{facts}</div><div>{metrics}</div></div>',
        _findings(events),
        _heading("Curves", '<div class="charts">' + "".join(drawn.values()) + "</div>" if drawn else ""),
    ]
    if evaluation is not None:
        part = f"{evaluation['split']} part, " if evaluation["split"] else ""
        head = f"On the {part}{evaluation['samples']:,} samples"
        rows = [(name, value) for name, value in evaluation["metrics"].items()]
        body = page.table(("metric", "value"), rows)
        body += "".join(page.section(each) for each in evaluation["report"].values())
        parts.append(_heading(head, body))
    parts += [
        _heading("Samples", _samples(run, about)),
        _heading("Environment", _environment(about)),
        _heading("Preset", f"<pre>{_preset(run)}</pre>"),
    ]
    return [part for part in parts if part]


def _heading(title: str, body: str) -> str:
    return f"<h2>{page.text(title)}</h2>{body}" if body else ""


def _facts(summary: RunSummary, events: Sequence[Mapping[str, Any]]) -> str:
    started = _last(events, "started")
    best = summary.best or {}
    samples = [started.get(f"{part}_samples") for part in ("train", "val", "test")]
    return page.pairs(
        [
            ("status", summary.status + (f": {summary.error}" if summary.error else "")),
            (
                "best",
                f"{best['metric']} {page.number(best['value'])} at epoch {best['epoch']}" if best else "",
            ),
            ("preset", summary.preset),
            ("model", summary.model),
            ("parameters", summary.parameters or None),
            ("data", summary.data),
            ("samples", " + ".join(f"{count:,}" for count in samples if isinstance(count, int) and count)),
            ("epochs", f"{summary.epoch} of {summary.epochs}" if summary.epochs else summary.epoch),
            ("steps", summary.step),
            ("seconds", round(summary.seconds, 1)),
            ("device", summary.device),
        ]
    )


def _findings(events: Sequence[Mapping[str, Any]]) -> str:
    """What the doctor found and what the training warned of."""
    told: dict[str, None] = {}
    for event in events:
        if event["event"] == "finding":
            why = f" {event['why']}" if event.get("why") else ""
            told[f"{event.get('what', event.get('rule', 'finding'))} ({event.get('evidence', '')}){why}"] = (
                None
            )
        elif event["event"] in ("warning", "nonfinite", "oom", "failed"):
            told[str(event.get("message") or event.get("error") or event["event"])] = None
    items = "".join(f"<li>{page.text(line)}</li>" for line in list(told)[:MOST_EVENTS])
    return _heading("Findings and warnings", f"<ul>{items}</ul>" if items else "")


def _metrics(summary: RunSummary, run: RunDir) -> str:
    """Each metric at the end and at its best; for a loss or an error least is best."""
    latest = {**{name: _end(run, name) for name in series.names(run.metrics_path)}, **summary.metrics}
    rows = [
        (name, value) for name, value in sorted(latest.items()) if name.partition("/")[0] in ("val", "test")
    ]
    return page.table(("metric", "last value"), rows)


def _end(run: RunDir, name: str) -> float | None:
    values = series.read(run.metrics_path, name).value
    return float(values[-1]) if len(values) else None


def _samples(run: RunDir, about: Mapping[str, Any]) -> str:
    files = sorted(run.samples_path.glob("step-*.json"))
    if not files or files[-1].stat().st_size > LARGEST_SAMPLES:
        return ""
    rows = _json(files[-1]).get("samples")
    if not isinstance(rows, list):
        return ""
    spec = about.get("spec")
    names = spec.get("class_names", []) if isinstance(spec, dict) else []
    shown = [page.sample(row, names) for row in rows[:MOST_SAMPLES] if isinstance(row, dict)]
    return '<div class="samples">' + "".join(shown) + "</div>" if any(shown) else ""


def _environment(about: Mapping[str, Any]) -> str:
    facts = about.get("fingerprint")
    rows = list(facts.items()) if isinstance(facts, dict) else []
    choices = about.get("choices")
    rows += list(choices.items()) if isinstance(choices, dict) else []
    command = about.get("command")
    if isinstance(command, list):
        rows.append(("command", " ".join(map(str, command))))
    code = about.get("code")
    for file in code if isinstance(code, list) else ():
        if isinstance(file, dict):
            rows.append(("code", f"{file.get('path')}  sha256 {str(file.get('sha256'))[:16]}…"))
    return page.pairs([(str(name), str(value)) for name, value in rows]) if rows else ""


def _preset(run: RunDir) -> str:
    try:
        text = run.preset_path.read_text("utf-8") if run.preset_path.is_file() else ""
        return page.text(text, 100_000, newlines=True)
    except (OSError, UnicodeDecodeError):
        return ""


def _comparison(runs: Sequence[RunDir], evaluations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    summaries = [run.summary() for run in runs]
    parts = [
        _heading("Results", _results(runs, summaries, evaluations)),
        _heading("What differs", _differences(runs)),
    ]
    together: dict[str, None] = {}
    for run in runs:
        together |= dict.fromkeys(groups(run.metrics_path))
    drawn = []
    for metric in together:
        curves = []
        for run in runs:
            names = groups(run.metrics_path).get(metric, [])
            chosen = [name for name in names if name.startswith("val/")] or names
            curves += lines(run.metrics_path, chosen[:1], run.name)
        drawn.append(chart(f"val/{metric}", curves, titled=True))
    return [
        *parts,
        _heading("Curves", '<div class="charts">' + "".join(drawn) + "</div>" if any(drawn) else ""),
    ]


def _results(
    runs: Sequence[RunDir], summaries: Sequence[RunSummary], evaluations: Mapping[str, Mapping[str, Any]]
) -> str:
    """A row a run; metrics of the test part, from the training's end or from an evaluation."""
    figures = []
    for run, summary in zip(runs, summaries, strict=True):
        tested = {n.removeprefix("test/"): v for n, v in summary.metrics.items() if n.startswith("test/")}
        figures.append({**tested, **evaluations.get(run.name, {}).get("metrics", {})})
    names = list(dict.fromkeys(name for each in figures for name in each))
    rows = []
    for summary, each in zip(summaries, figures, strict=True):
        best = summary.best["value"] if summary.best else None
        rows.append(
            [summary.name, summary.model, summary.parameters, summary.epoch, round(summary.seconds, 1), best]
            + [each.get(name) for name in names]
        )
    return page.table(("run", "model", "parameters", "epochs", "seconds", "best", *names), rows)


def _differences(runs: Sequence[RunDir]) -> str:
    """Keys of the presets that are not the same in all runs."""
    from dlcore.preset import loads

    flat: list[dict[str, Any]] = []
    for run in runs:
        try:
            preset = loads(run.preset_path.read_text("utf-8"), run.name, builders=False)
        except (OSError, UnicodeDecodeError, UserError):
            flat.append({})
            continue
        values = preset.model_dump(mode="json", exclude={"about"})
        keys: dict[str, Any] = {}
        for section, content in values.items():
            options = content.pop("options", {}) if isinstance(content, dict) else {}
            keys |= {f"{section}.{key}": value for key, value in (content | options).items()}
        flat.append(keys)
    names = sorted({name for keys in flat for name in keys})
    rows = [
        [name, *(_plain(keys.get(name)) for keys in flat)]
        for name in names
        if len({_plain(keys.get(name)) for keys in flat}) > 1
    ]
    return page.table(("key", *(run.name for run in runs)), rows)


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    return to_toml({"x": {"y": value}}).partition("=")[2].strip() or str(value)


def _last(events: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any]:
    return next((event for event in reversed(events) if event["event"] == kind), {})


def _json(path: Path) -> dict[str, Any]:
    try:
        return (decode(path.read_bytes()) or {}) if path.is_file() else {}  # a pipe would be waited for
    except OSError:
        return {}


def evaluate_runs(runs: Sequence[RunDir]) -> tuple[dict[str, Any], list[str]]:
    """What `evaluate` says of each run, and why it says nothing of some."""
    from dlcore import trained
    from dlcore.deploy.evaluate import evaluate

    found, notes = {}, []
    for run in runs:
        try:
            result = evaluate(trained.load(run))
        except UserError as error:
            notes.append(f"{run.name}: without an evaluation, {error.lines[0]}")
            continue
        found[run.name] = json.loads(json.dumps(result))
    return found, notes
