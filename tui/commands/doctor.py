"""`dltui doctor`: what is wrong with a run or a preset, why it matters, and what to try."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

from dlcore import preset as presets
from dlcore.doctor.diagnosis import diagnose
from dlcore.doctor.findings import Finding
from dlcore.doctor.record import Record
from dlcore.doctor.registry import rules
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from tui import words
from tui.commands import own_code
from tui.commands.common import paint, print_json, runs_in, terminal_width
from tui.commands.status import status

SICK = 1
SIGNS = {"error": ("✗", "red"), "hint": ("▲", "yellow")}


def doctor(
    subject: str | None, sets: Sequence[str], runs: Path | None, *, gradcheck: bool, as_json: bool
) -> int:
    """Examines a run or a preset and prints the findings.

    Returns:
        0, or 1 when there is a finding of severity error.

    Raises:
        UserError: there is neither such a run nor such a preset, there is nothing of the run yet, or the preset is
            wrong or does not get a batch through its network.
    """
    run = None if sets or gradcheck else _run(subject, runs)
    if run is not None:
        name, source, record = run.name, "", Record.read(run)
    else:
        name = source = subject or ""
        record = _examined(source, sets, gradcheck=gradcheck)
    findings = diagnose(record)
    if run is not None and not findings:
        _require_something(run, record)
    if as_json:
        print_json(
            {"subject": name, "run": run is not None, "findings": [each.to_dict() for each in findings]}
        )
    else:
        width = min(100, terminal_width())
        given = "".join(f" --set {shlex.quote(text)}" for text in sets)
        command = f"dltui run {shlex.quote(str(source if run is None else run.preset_path))}{given}"
        print("\n".join(page(name, findings, command, width)))
    return SICK if any(finding.severity == "error" for finding in findings) else 0


def _run(subject: str | None, runs: Path | None) -> RunDir | None:
    """The run that is meant; None where a preset is."""
    if subject is not None and (subject.endswith(".toml") or _is_preset(subject)):
        exact = runs_in(runs) / subject
        return RunDir.open(exact) if not subject.endswith(".toml") and exact.is_dir() else None
    return RunDir.find(runs_in(runs), subject)


def _is_preset(name: str) -> bool:
    return name in {path.stem for path in (*presets.shipped(), *presets.pitfalls())}


def _examined(source: str, sets: Sequence[str], *, gradcheck: bool) -> Record:
    if not source:
        raise UserError("say which preset: dltui doctor PRESET")
    presets.load(source, sets, builders=False)  # what is wrong in the text is said before torch is loaded
    with own_code.stdout_aside(), status("reading the preset") as report:
        from dlcore import examining

        preset = presets.load(source, sets, builders=True)
        try:
            return examining.examine(preset, gradcheck=gradcheck, report=report)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            reason = _reason(preset, error)
            if not reason:
                raise
            raise UserError(f"{source}: {reason}") from error


def _reason(preset: presets.Preset, error: BaseException) -> str:
    """Why a preset could not be tried out, in a sentence; "" where the fault is not the user's."""
    from dlcore import checking
    from dlcore.user_code import one_line

    line = own_code.line_of(error)
    try:
        failure = checking.check(preset)["failure"]
    except (Exception, SystemExit):  # the same one, which says less about it
        failure = None
    if failure is not None and failure["kind"] != "error":
        where = f"{failure['path'] or 'the network'} ({failure['type']})" + (f", {line}" if line else "")
        return f"a batch does not get through {where}: {failure['message']}"
    return f"{line}: {one_line(error)}" if line else ""


def _require_something(run: RunDir, record: Record) -> None:
    """Says so where a run has recorded nothing that could be judged."""
    if any(name.startswith("train/") for name in record.curves):
        return
    summary = run.summary()
    if not record.preset and not record.events:
        raise UserError(
            f"{run.name}: nothing of this run can be read: its preset and its events are missing or damaged"
        )
    if summary.status in ("failed", "died"):
        reason = f": {summary.error}" if summary.error else ""
        raise UserError(f"{run.name}: it {summary.status} before its first step was recorded{reason}")
    raise UserError(f"{run.name}: nothing is recorded yet; ask again when it has trained for some seconds")


def page(name: str, findings: Sequence[Finding], command: str, width: int) -> list[str]:
    """The findings for a person to read."""
    lines = [paint(safe_text(name), "bold"), ""]
    for finding in findings:
        lines += [*_finding(finding, command, width), ""]
    if not findings:
        lines.append(f"{paint('✓', 'green')} Nothing found: {len(rules())} rules looked.")
    else:
        errors = sum(finding.severity == "error" for finding in findings)
        lines.append(f"{words.plural(errors, 'error')}, {words.plural(len(findings) - errors, 'hint')}.")
    return lines


def _finding(finding: Finding, command: str, width: int) -> list[str]:
    sign, colour = SIGNS[finding.severity]
    lines = [f"{paint(sign, colour)} {paint(safe_text(finding.what, limit=400), 'bold')}"]
    lines += _wrapped(f"{finding.rule}: {finding.evidence}", width)
    lines += [paint(line, "dim") for line in _wrapped(finding.why, width)]
    for change in finding.changes:
        lines += _wrapped(f"try: {change.say}", width)
        if change.set:
            sets = " ".join(f"--set {shlex.quote(text)}" for text in change.set)
            lines.append(f"    {safe_text(command)} {safe_text(sets)}")
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(safe_text(text, limit=1000), width, initial_indent="  ", subsequent_indent="  ")
