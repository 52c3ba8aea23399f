"""``python -m dlcore.deploy.check_export FORMAT FILE FOLDER``: asks an exported file, in a process of its own.

FOLDER holds ``inputs.npz`` with the arguments of every call and ``hints.json``; the answers go to ``outputs.npz``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from dlcore.deploy.exporting import format_of


def main(arguments: list[str]) -> int:
    """Answers every call in turn."""
    name, file, place = arguments
    folder = Path(place)
    form = format_of(name)
    hints = json.loads((folder / "hints.json").read_text())
    calls: dict[int, dict[int, np.ndarray]] = {}
    with np.load(folder / "inputs.npz", allow_pickle=False) as stored:
        for key in stored.files:
            call, argument = map(int, key.split("_"))
            calls.setdefault(call, {})[argument] = stored[key]
    answers: dict[str, Any] = {}
    for call, given in calls.items():
        outputs = form.ask(Path(file), [given[at] for at in sorted(given)], hints)
        answers |= {f"{call}_{at}": array for at, array in enumerate(outputs)}
    np.savez(folder / "outputs.npz", **answers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
