"""Broken networks of a user's own file: the layer that is named, the fix that is offered, and that it works."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest

from dlcore.inspection.fixes import Fix, source_fixes
from dlcore.inspection.input_text import Given, parse_inputs
from dlcore.inspection.programs import Program
from dlcore.inspection.records import Failure
from dlcore.inspection.shapes import Options, trace
from tests.core.inspection.broken_networks import NETWORKS, Broken

LEAST_RIGHT = 0.95  # that is 57 of 60


def given(broken: Broken) -> Given:
    return parse_inputs(broken.inputs.split(", "))


def diagnosis(broken: Broken, folder: Path) -> tuple[Failure | None, list[Fix]]:
    """What is said about a network, and the fixes offered."""
    path = folder / "net.py"
    path.write_text(broken.source)
    inputs = given(broken)
    program = Program(
        path,
        "Net",
        lambda kind: kind(),
        inputs.call,
        Options(device=broken.device, bounds=inputs.bounds),
    )
    attempt = program.attempt({})
    assert not attempt.works, broken.name
    failure = attempt.result.trace.failure if attempt.result else None
    return failure, source_fixes(program)


def patched(broken: Broken, fix: Fix) -> str:
    """The file with the patch applied, hunk by hunk."""
    lines, out, place = broken.source.splitlines(), [], 0
    for line in fix.diff.splitlines()[2:]:
        if line.startswith("@@"):
            start = int(line.split()[1].split(",")[0][1:]) - 1
            out += lines[place:start]
            place = start
        elif line.startswith("+"):
            out.append(line[1:])
        else:
            assert lines[place] == line[1:]
            place += 1
            if line.startswith(" "):
                out.append(line[1:])
    return "\n".join([*out, *lines[place:]]) + "\n"


def run(source: str, inputs: Given, options: Options) -> Any:
    module = types.ModuleType("patched")
    exec(compile(source, "patched.py", "exec"), module.__dict__)
    return trace(module.Net(), inputs.call, options=options)


def judged(broken: Broken, folder: Path) -> list[str]:
    """What is not as it should be."""
    failure, fixes = diagnosis(broken, folder)
    wrong = []
    if (failure.path if failure else "") != broken.layer:
        wrong.append(f"layer {failure.path if failure else 'none'!r}, not {broken.layer!r}: {failure}")
    if not fixes or broken.fix not in fixes[0].say:
        return [
            *wrong,
            f"offers {[fix.say for fix in fixes]}, not {broken.fix!r}; {failure and failure.message}",
        ]
    added = [line for line in fixes[0].diff.splitlines() if line.startswith("+ ")]
    expected = broken.patch or broken.fix.split(" in ")[0].removesuffix(" before it").rpartition("=")[2]
    if not any(expected in line for line in added):
        wrong.append(f"patch {added}, not {expected!r}")
    return wrong


def test_the_networks_are_told_apart() -> None:
    assert len(NETWORKS) >= 60
    assert len({broken.name for broken in NETWORKS}) == len(NETWORKS)
    assert len({(broken.source, broken.inputs) for broken in NETWORKS}) == len(NETWORKS)


def test_the_failing_layer_and_the_fix_are_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {broken.name: found for broken in NETWORKS if (found := judged(broken, tmp_path))}
    told = "\n".join(f"{name}: {'; '.join(found)}" for name, found in wrong.items())
    assert len(wrong) <= len(NETWORKS) * (1 - LEAST_RIGHT), f"{len(wrong)} of {len(NETWORKS)} wrong\n{told}"


def test_every_fix_that_is_offered_traces_when_its_patch_is_applied(tmp_path: Path) -> None:
    for broken in NETWORKS:
        for fix in diagnosis(broken, tmp_path)[1]:
            options = Options(device=broken.device, bounds=given(broken).bounds)
            assert run(patched(broken, fix), given(broken), options).failure is None, (broken.name, fix.say)


def test_nothing_is_written(tmp_path: Path) -> None:
    broken = NETWORKS[0]
    diagnosis(broken, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["net.py"]
    assert (tmp_path / "net.py").read_text() == broken.source
