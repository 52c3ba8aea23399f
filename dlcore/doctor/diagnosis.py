"""All rules over one record."""

from __future__ import annotations

from dlcore.doctor.findings import Finding
from dlcore.doctor.record import Record
from dlcore.doctor.registry import rules

SYMPTOMS = ("plateau", "underfitting", "not learning", "loss spikes", "exploding gradients")
"""What other faults bring about: left out where an error says what does."""

STARVED = ("vanishing gradients", "dead ReLUs", "saturated units")
"""Leave no gradient, and so steps that are too short at any rate: they are named instead of the rate."""


def diagnose(record: Record) -> list[Finding]:
    """What is wrong, errors first and causes before what they cause; nothing when all is well."""
    found = [finding for each in rules() for finding in each.check(record)]
    found.sort(key=lambda finding: finding.severity != "error")  # stable: by rank within each
    explained = any(f.severity == "error" and f.rule not in SYMPTOMS for f in found)
    starved = any(f.severity == "error" and f.rule in STARVED for f in found)
    return [
        finding
        for finding in found
        if not (explained and finding.rule in SYMPTOMS)
        and not (starved and finding.rule == "learning rate too low")
    ]
