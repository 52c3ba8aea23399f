"""The doctor's hits and false alarms, preset by preset, as a table.

``python -m tests.core.doctor.table [PRESET …]`` examines and trains the presets and prints a row as each is done; the
tests here print theirs when they are over. Presets with data of their own need the folder of real data sets.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dlcore import examining
from dlcore import preset as presets
from dlcore.doctor.diagnosis import diagnose
from dlcore.doctor.findings import Finding
from dlcore.doctor.record import Record
from dlcore.run_dir import RunDir
from tests.core.preset_runs import train
from tests.core.real_presets import folder_of_real_data, has_bundled_data, overrides

SAYS = re.compile(r"# The doctor says: (.+)\.")
LONG = {
    "cifar10-resnet": ("data.limit=2000", "training.epochs=6"),
    "shakespeare-gpt-gpu": (
        "training.max_steps=3",
        "training.batch_size=4",
        "training.workers=0",
        "data.window=64",
    ),
}
"""What would take two cores the better part of an hour, or days, in an excerpt."""


LESSONS = [path for path in presets.shipped() if SAYS.search(path.read_text())]
"""Presets of the path that are there to show a fault."""

NOTED: list[Row] = []


def noted(row: Row) -> Row:
    """Keeps a row for the table that is printed when the tests are over."""
    NOTED.append(row)
    return row


@dataclass(frozen=True)
class Row:
    """What the doctor said to a preset.

    Attributes:
        when: ``before`` or ``after`` its training.
        expected: the rule that is to come first; "" for a healthy one.
    """

    name: str
    when: str
    expected: str
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def errors(self) -> int:
        """Findings that say that something is broken."""
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def hints(self) -> int:
        """The others."""
        return len(self.findings) - self.errors

    @property
    def right(self) -> bool:
        """The fault is named first; a healthy preset has no error and at most one hint."""
        if self.expected:
            return bool(self.findings) and self.findings[0].rule == self.expected
        return not self.errors and self.hints <= 1

    @property
    def told(self) -> list[str]:
        """What was said, with its evidence."""
        return [f"{f.severity}: {f.rule}: {f.evidence}" for f in self.findings]

    def __str__(self) -> str:
        said = ", ".join(f"{f.severity}: {f.rule}" for f in self.findings) or "-"
        mark = "✓" if self.right else "✗"
        return f"{mark} {self.name:<32} {self.when:<7} {self.expected or 'healthy':<28} {said}  ({self.seconds:.0f} s)"


def header(path: Path) -> str:
    """The comment that a preset begins with."""
    return path.read_text().partition("\n[")[0]


def expected(path: Path) -> str:
    """The rule that its header says; "" for a healthy one."""
    said = SAYS.search(header(path))
    return said.group(1) if said else ""


def asked_before(path: Path) -> bool:
    """Whether a pitfall is to be found without training it."""
    return "dltui run" not in header(path)


def before(path: Path, *sets: str) -> Row:
    """Examined as it stands."""
    began = time.monotonic()
    preset = presets.load(path, sets, builders=True)
    found = diagnose(examining.examine(preset, gradcheck="--gradcheck" in header(path)))
    return Row(path.stem, "before", expected(path), tuple(found), time.monotonic() - began)


def after(path: Path, runs: Path, *sets: str) -> Row:
    """Trained to its end; a training that fails is one, too."""
    began = time.monotonic()
    earlier = {each for each in runs.iterdir() if each.is_dir()}
    try:
        run = train(str(path), runs, "training.device=cpu", *LONG.get(path.stem, ()), *sets).path
    except AssertionError:
        (run,) = {each for each in runs.iterdir() if each.is_dir()} - earlier
    found = diagnose(Record.read(RunDir(run)))
    return Row(path.stem, "after", expected(path), tuple(found), time.monotonic() - began)


def summary(rows: Iterable[Row]) -> list[str]:
    """The table, and below it what it comes to."""
    rows = sorted(rows, key=lambda row: (not row.expected, row.when, row.name))
    lines = [str(row) for row in rows]
    faulty, healthy = [r for r in rows if r.expected], [r for r in rows if not r.expected]
    if faulty:
        lines.append(f"faults named first: {sum(row.right for row in faulty)} of {len(faulty)}")
    if healthy:
        errors, hints = sum(row.errors for row in healthy), sum(row.hints for row in healthy)
        lines.append(f"healthy: {len(healthy)} looks, {errors} errors and {hints} hints, most on one "
                     f"{max(row.hints for row in healthy)}")  # fmt: skip
    return lines


def main(names: list[str]) -> None:
    """Prints rows as they come; further arguments such as ``training.threads=1`` go to every preset."""
    paths = {path.stem: path for path in [*presets.shipped(), *presets.pitfalls()]}
    sets = [each for each in names if "=" in each]
    chosen = [each for each in names if "=" not in each] or list(paths)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        runs = Path(os.environ.setdefault("DLTUI_RUNS", str(scratch / "runs")))
        runs.mkdir(parents=True, exist_ok=True)
        os.environ["DLTUI_DATA"] = str(scratch)
        for name in chosen:
            path = paths[name]
            data = folder_of_real_data()
            if data is None and not has_bundled_data(path):
                print(f"- {name}: needs the folder of real data sets", flush=True)
                continue
            own = overrides(path, data, scratch) if data is not None else []
            faulty, early = path in presets.pitfalls() or path in LESSONS, asked_before(path)
            looks = {"before": not faulty or early, "after": not faulty or not early}
            for when in (each for each, wanted in looks.items() if wanted):
                try:
                    rows.append(
                        before(path, *own, *sets) if when == "before" else after(path, runs, *own, *sets)
                    )
                except Exception as error:  # one preset that cannot be built hides no other
                    print(f"✗ {name} {when}: {type(error).__name__}: {error}", flush=True)
                else:
                    print(rows[-1], flush=True)
    print("\n".join(["", *summary(rows)]))


if __name__ == "__main__":
    main(sys.argv[1:])
