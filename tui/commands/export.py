"""`dltui export`: a run's network as a file for use elsewhere, checked before it is kept."""

from __future__ import annotations

import sys
from pathlib import Path

from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from tui import words
from tui.commands import own_code
from tui.commands.common import FAILED, paint, print_json, report, runs_in


def export(
    name: str | None,
    to: str,
    runs: Path | None,
    *,
    checkpoint: str,
    dynamic: str,
    int8: bool,
    out: Path | None,
    as_json: bool,
) -> int:
    """Exports and says how closely the file answers like the network.

    Returns:
        0, or 1 when the file did not pass its check; nothing is left of it.

    Raises:
        UserError: no such run, checkpoint or format.
    """
    if dynamic not in ("", "batch"):
        raise UserError(f"--dynamic {safe_text(dynamic)}: only the batch can be of any size")
    run = RunDir.find(runs_in(runs), name)
    from dlcore import trained
    from dlcore.deploy import card, exporting
    from dlcore.deploy import export as exports

    form = exporting.format_of(to)
    with own_code.running():
        found = trained.load(run, checkpoint, device="cpu")
    for note in found.notes:
        print(f"{paint('!', 'yellow', stream=sys.stderr)} {safe_text(note)}", file=sys.stderr)
    path = out or Path(f"{run.name}{'-int8' if int8 else ''}{form.suffix}")
    if path.is_dir():
        path = path / f"{run.name}{form.suffix}"
    try:
        with own_code.running():
            checked = exports.export(found, to, path, exporting.Options(dynamic == "batch", int8))
    except UserError as error:
        report(error)
        return FAILED
    with own_code.running():
        written = card.write_card(found, checked, to)
    if as_json:
        print_json(
            {
                "file": str(path), "format": to, "bytes": checked.bytes, "difference": checked.difference,
                "tolerance": checked.tolerance, "samples": checked.samples, "real": checked.real,
                "card": str(written[0]), "notes": list(checked.notes),
            }
        )  # fmt: skip
        return 0
    print(f"{safe_text(path)}  {words.size(checked.bytes)}")
    samples = words.plural(checked.samples, "real sample" if checked.real else "made-up input")
    print(
        f"largest difference to the trained network on {samples}: {checked.difference:.2g} "
        f"(allowed {checked.tolerance:.2g})"
    )
    for note in checked.notes:
        print(f"{paint('!', 'yellow')} {safe_text(note)}")
    print(f"model card: {safe_text(written[0])}")
    return 0
