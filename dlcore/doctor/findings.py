"""What the doctor finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "hint"]


@dataclass(frozen=True)
class Change:
    """Something to try.

    Attributes:
        say: what to do, as one imperative sentence.
        set: overrides of the preset that do it; none where the change is in the user's own code or data.
    """

    say: str
    set: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or could be better.

    Attributes:
        rule: name of the rule that found it.
        severity: ``error``: it keeps the network from learning, or makes its figures worthless;
            ``hint``: it learns, and could do so better.
        what: one sentence with the place in it.
        evidence: the figures that say so.
        why: why it matters, in two sentences.
        changes: what to try, the most promising first.
        layer, step, epoch: where, as far as it can be told; "" and None where it cannot.
    """

    rule: str
    severity: Severity
    what: str
    evidence: str
    why: str
    changes: tuple[Change, ...] = ()
    layer: str = ""
    step: int | None = None
    epoch: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Finding:
        """Inverse of `to_dict` after a trip through JSON; unknown keys are left out.

        Raises:
            TypeError: what every finding has is missing.
        """
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        changes = tuple(Change(str(c["say"]), tuple(c.get("set", ()))) for c in known.pop("changes", ()))
        return cls(**known, changes=changes)
