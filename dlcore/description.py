"""What the worker adds to run.json: the data's spec, what the model began from, what was chosen and measured.

With it a run predicts when its data is gone, and resumes without loading or measuring again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlcore.opening import Opened
from dlcore.run_dir import RunDir
from dlcore.training.precision import fingerprint
from dlcore.training.weight_mapping import Loaded


def write(run: RunDir, opened: Opened, measured: Mapping[str, Any]) -> None:
    """Adds what is now known of the run.

    Args:
        measured: what `chosen` is to give when the run is resumed.
    """
    parts = opened.parts
    facts = {
        "spec": parts.data.spec.to_dict(),
        "fingerprint": fingerprint(opened.device),
        "choices": opened.choices,
        "chosen": dict(measured),
        "weights": None if parts.weights is None else parts.weights.to_dict(),
    }
    run.update_json("run.json", facts)


def loaded(about: Mapping[str, Any]) -> Loaded | None:
    """What was loaded into the model when the run began; None where nothing was, or where it is damaged."""
    try:
        return Loaded.from_dict(about["weights"])
    except (KeyError, TypeError, ValueError, AttributeError):  # damaged: to be read again
        return None


def chosen(about: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured when the run began; empty where nothing was."""
    found = about.get("chosen")
    return found if isinstance(found, dict) else {}
