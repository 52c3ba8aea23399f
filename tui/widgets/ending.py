"""How a run ended and what to do now: a few lines above the panels, gone while it trains."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from tui import words
from tui.themes import STATUS_TONES

ENDS = ("finished", "stopped", "failed", "died")


class Ending(Static):
    """What came of it, then in quiet lines what can be done."""

    DEFAULT_CSS = """
    Ending {
        display: none;
        height: auto;
        max-height: 5;
        padding: 0 1;
        border-left: outer $foreground 40%;

        &.-finished { border-left: outer $success; }
        &.-stopped { border-left: outer $warning; }
        &.-failed, &.-died { border-left: outer $error; }
        &.-short { max-height: 1; }
    }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._told: tuple[str, tuple[str, ...], tuple[str, ...]] = ("", (), ())

    def tell(self, status: str, outcome: Sequence[str], remedies: Sequence[str]) -> None:
        """Shows the end.

        Args:
            status: one of `ENDS`, or another to show nothing.
            outcome: safe sentences, the most important first.
            remedies: likewise, of what can be done.
        """
        told = (status, tuple(outcome), tuple(remedies))
        if told == self._told:
            return
        self._told = told
        self.display = status in ENDS
        for name in ENDS:
            self.set_class(name == status, f"-{name}")
        if status in ENDS:
            first, *rest = outcome
            sign = (words.STATUS_SIGNS[status], f"bold ${STATUS_TONES[status]}")
            lines = [Content.assemble(sign, " ", (first, "bold"))]
            if rest:
                lines.append(Content("   ".join(rest)))
            lines += [Content.styled(line, "$foreground 65%") for line in remedies]
            self.update(Content("\n").join(lines))
