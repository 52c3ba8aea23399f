"""All rules over one record."""

from __future__ import annotations

from dlcore.doctor.findings import Finding
from dlcore.doctor.record import Record
from dlcore.doctor.registry import rules

SYMPTOMS = ("plateau", "underfitting", "not learning", "loss spikes", "exploding gradients")
"""What other faults bring about: left out where an error says what does."""


def diagnose(record: Record) -> list[Finding]:
    """What is wrong, errors first and causes before what they cause; nothing when all is well."""
    found = [finding for each in rules() for finding in each.check(record)]
    found.sort(key=lambda finding: finding.severity != "error")  # stable: by rank within each
    explained = any(f.severity == "error" and f.rule not in SYMPTOMS for f in found)
    return [finding for finding in found if not (explained and finding.rule in SYMPTOMS)]
