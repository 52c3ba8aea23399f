"""`dltui predict`: a run's network asked about files, rows and texts, or told to draw and write."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from tui import words
from tui.commands import own_code
from tui.commands.common import paint, print_json, runs_in

BAD = 1


class Form(NamedTuple):
    """How answers are printed."""

    top: int = 5
    json: bool = False
    csv: bool = False


class Writing(NamedTuple):
    """How a language model goes on with a text."""

    max_tokens: int = 200
    temperature: float = 0.8
    top_k: int = 0
    seed: int = 0


def predict(
    name: str,
    places: Sequence[str],
    runs: Path | None,
    form: Form,
    *,
    checkpoint: str,
    writing: Writing,
    count: int,
    out: Path | None,
) -> int:
    """Asks the network and prints its answers.

    Returns:
        0, or 1 when an input could not be used; the others are answered.

    Raises:
        UserError: no such run, or its network cannot be asked this way.
    """
    if form.json and form.csv:
        raise UserError("say --json or --csv, not both")
    if not places and not count:
        raise UserError("name something to predict: a file, a folder, a text, or - for standard input")
    run = RunDir.find(runs_in(runs), name)
    from dlcore import trained
    from dlcore.deploy import predict as asking

    with own_code.running():
        found = trained.load(run, checkpoint)
    for note in found.notes:
        print(f"{paint('!', 'yellow', stream=sys.stderr)} {safe_text(note)}", file=sys.stderr)
    if count:
        return _make(found, count, out, form, writing.seed)
    with own_code.running():
        if found.task.prompted:
            from dlcore.deploy.create import write

            good, bad = _split(write(found, places, **writing._asdict()))
        else:
            good, bad = _split(asking.predict(found, places))
    if out is not None:
        from dlcore.deploy.create import save_answers

        save_answers(good, out)
    _PRINT["json" if form.json else "csv" if form.csv else "lines"](good, form)
    for name_, reason in bad:
        print(f"{safe_text(name_)}: {safe_text(reason)}", file=sys.stderr)
    return BAD if bad else 0


def _make(found: Any, count: int, out: Path | None, form: Form, seed: int) -> int:
    """Pictures out of noise, or episodes of a policy."""
    from dlcore.deploy import create

    if found.spec.target != "reward":
        with own_code.running():
            paths = create.draw(found, count, out or Path(f"{found.run.name}-samples"), seed=seed)
        _print_files(paths, form)
        return 0
    with own_code.running():
        episodes = create.play(found, count, seed=seed, framed=form.json or out is not None)
    if out is not None:
        create.save_episodes(episodes, out)
    _print_episodes(episodes, form)
    return 0


def _split(answers: Iterable[Any]) -> tuple[list[tuple[str, dict[str, Any]]], list[tuple[str, str]]]:
    good, bad = [], []
    for each in answers:
        if hasattr(each, "content"):
            good.append((each.name, each.content))
        else:
            bad.append((each.name, each.reason))
    return good, bad


def _likeliest(content: Mapping[str, Any], top: int) -> list[tuple[str, float]]:
    probabilities: Mapping[str, float] = content.get("probabilities", {})
    return sorted(probabilities.items(), key=lambda pair: -pair[1])[:top]


def _print_json(good: Sequence[tuple[str, dict[str, Any]]], form: Form) -> None:
    rows = []
    for name, content in good:
        row = {"input": name, **{key: value for key, value in content.items() if key != "probabilities"}}
        if "probabilities" in content:
            row["probabilities"] = dict(_likeliest(content, form.top))
        rows.append(row)
    print_json(rows)


def _print_csv(good: Sequence[tuple[str, dict[str, Any]]], form: Form) -> None:
    """``input,prediction,probability``, then the probability of each class or each number by its name."""
    rows = []
    for name, content in good:
        prediction = content["prediction"]
        row: dict[str, Any] = {"input": name}
        if isinstance(prediction, Mapping):
            row |= prediction
        else:
            row["prediction"] = prediction
        if "probability" in content:
            row["probability"] = content["probability"]
        row |= {f"p({key})": value for key, value in content.get("probabilities", {}).items()}
        rows.append(row)
    columns = list(dict.fromkeys(key for row in rows for key in row)) or ["input", "prediction"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    sys.stdout.write(text.getvalue())


def _print_lines(good: Sequence[tuple[str, dict[str, Any]]], form: Form) -> None:
    if any("text" in content for _, content in good):
        for name, content in good:
            print(paint(safe_text(name, limit=80), "bold"))
            print(safe_text(content["text"], limit=1_000_000, newlines=True))
        return
    rows = []
    for name, content in good:
        shown = _shown(content["prediction"])
        rest = [f"{safe_text(label)} {share:.1%}" for label, share in _likeliest(content, form.top)[1:]]
        sure = f"{content['probability']:.1%}" if "probability" in content else ""
        rows.append((words.fit(safe_text(name), 60), shown, sure, "  ".join(rest)))
    with contextlib.suppress(BrokenPipeError):
        for line in words.columns(rows, "<<><"):
            print(line)


def _shown(prediction: object) -> str:
    if isinstance(prediction, float):
        return f"{prediction:.6g}"
    if isinstance(prediction, Mapping):
        return "  ".join(f"{safe_text(name)} {value:.6g}" for name, value in prediction.items())
    return safe_text(prediction, limit=200)


def _print_files(paths: Sequence[Path], form: Form) -> None:
    if form.json:
        print_json([{"file": str(path)} for path in paths])
    else:
        for path in paths:
            print(safe_text(path))


def _print_episodes(episodes: Sequence[dict[str, Any]], form: Form) -> None:
    """Return and length of each; of several also the means. Frames go to scripts only."""
    if form.json:
        print_json(episodes)
        return
    rows = [{"episode": at, **each} for at, each in enumerate(episodes, start=1)]
    for row in rows:
        row.pop("frames", None)
    if form.csv:
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return
    lines = [
        (f"episode {row['episode']}", f"return {row['return']:.6g}", f"{row['length']} steps") for row in rows
    ]
    if len(rows) > 1:
        mean, length = (sum(row[key] for row in rows) / len(rows) for key in ("return", "length"))
        lines.append(("mean", f"return {mean:.6g}", f"{length:.6g} steps"))
    for line in words.columns(lines, "<>>"):
        print(line)


_PRINT = {"json": _print_json, "csv": _print_csv, "lines": _print_lines}
