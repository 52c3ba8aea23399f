"""What would mend a network that does not fit, as the engine has found and tried it. Pure; safe to print.

A fix either changes values of the draft, or is a change of the user's own file, which is only ever shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dlcore.text_safety import safe_text

MOST = 3
_LONGEST_DIFF = 20_000  # characters


class Fix(NamedTuple):
    """One change after which a batch goes through.

    Attributes:
        say: the change in words, one line.
        why: one line; may be "".
        values: of the draft, by section and key; empty where only the file can be mended.
        diff: of the user's own file; "" where none is needed.
        file: which one.
    """

    say: str
    why: str
    values: Mapping[str, Mapping[str, Any]]
    diff: str
    file: str

    @property
    def offer(self) -> str:
        """What taking it does, in a line."""
        return f"{self.say} · tried, works" if self.values else f"see the change to {self.file}: {self.say}"


def fixes(answer: Mapping[str, Any]) -> tuple[Fix, ...]:
    """Those in an answer to ``shapes``, the best first; none where the network fits or nobody knows one."""
    if answer.get("state") not in ("failed", "wrong"):
        return ()
    told = [_fix(each) for each in answer.get("fixes", ())[:MOST]]
    return tuple(fix for fix in told if fix.values or fix.diff)


def _fix(told: Mapping[str, Any]) -> Fix:
    return Fix(
        safe_text(told["say"], limit=200),
        safe_text(told.get("why", ""), limit=400),
        told.get("set", {}),
        safe_text(told.get("diff", ""), limit=_LONGEST_DIFF, newlines=True),
        safe_text(told.get("file", ""), limit=200),
    )
