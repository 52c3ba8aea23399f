"""What is wrong with a run, why it matters, and a key that tries the remedy in a new run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from dlcore.text_safety import safe_text
from tui import words
from tui.doctor_follower import DoctorFollower, Examined
from tui.messages import OpenNewRun
from tui.widgets.gauge import Part
from tui.widgets.page import Line, Page
from tui.widgets.panel import Context, Panel
from tui.widgets.text_lines import wrapped

if TYPE_CHECKING:
    from dlcore.doctor.findings import Change, Finding
    from tui.follow import RunView

SIGNS = {"error": ("✗", "error"), "hint": ("▲", "warning")}
WAITING = "The doctor reads the run …"
WELL = "✓ Nothing found so far: gradients, activations, learning rate, losses, data and speed look healthy."


class DoctorPanel(Panel):
    """The findings, the marked one in full."""

    KEY = "doctor"
    TAB = "doctor"
    ORDER = 9
    SHARE = 6
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "apply", "Try it", id="doctor.apply", tooltip="Set up a new run with the marked remedy"),
        Binding("n", "next(1)", "Next finding", id="doctor.next", tooltip="The next finding", show=False),
        Binding("N", "next(-1)", "Finding before", id="doctor.back", tooltip="The finding before", show=False),
        Binding("space", "remedy", "Other remedy", id="doctor.remedy", tooltip="Mark the next remedy", show=False),
    ]  # fmt: skip

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._follower = DoctorFollower(self.post_message, context.run)
        self.findings: Sequence[Finding] = ()
        self._read_once = False
        self._at = 0
        self._remedy = 0

    def compose(self) -> ComposeResult:
        """The page."""
        yield Page()

    @property
    def heart(self) -> Widget:  # noqa: D102
        return self.query_one(Page)

    @property
    def ready(self) -> bool:  # noqa: D102
        return self._read_once

    def show_view(self, view: RunView) -> None:
        """The files say all."""

    def follow(self, wanted: bool) -> None:  # noqa: D102
        if wanted:
            self._follower.start()
        else:
            self._follower.stop()

    @on(Examined)
    def _examined(self, message: Examined) -> None:
        message.stop()
        self._read_once = True
        marked = self.findings[self._at].rule if self.findings else ""
        self.findings = message.findings
        rules = [finding.rule for finding in self.findings]
        self._at = rules.index(marked) if marked in rules else 0
        self._show()

    @on(Page.Resized)
    def _show(self) -> None:
        page = self.query_one(Page)
        errors = sum(finding.severity == "error" for finding in self.findings)
        hints = len(self.findings) - errors
        said = [f"✗ {errors}"] * bool(errors) + [f"▲ {hints}"] * bool(hints)
        self.frame_state = "  ".join(said) if self.findings else "✓" if self._read_once else ""
        self.frame_tone = "error" if errors else "warning" if hints else "success" if self._read_once else ""
        page.show(lines(self.findings, self._at, self._remedy, page.width, read=self._read_once))

    @property
    def change(self) -> Change | None:
        """The marked remedy of the marked finding, where a preset can have it."""
        remedies = applicable(self.findings[self._at]) if self.findings else []
        return remedies[self._remedy % len(remedies)] if remedies else None

    def action_next(self, by: int) -> None:
        """Marks another finding."""
        if self.findings:
            self._at, self._remedy = (self._at + by) % len(self.findings), 0
            self._show()

    def action_remedy(self) -> None:
        """Marks another remedy of the same finding."""
        if not self.findings or len(applicable(self.findings[self._at])) < 2:
            self.app.notify("There is no other remedy that a preset can make.", markup=False)
            return
        self._remedy += 1
        self._show()

    def action_apply(self) -> None:
        """A new run with the marked remedy, to be looked at before it starts."""
        change = self.change
        if change is None:
            self.app.notify("No preset can make this change: it is one in your code or data.", markup=False)
            return
        self.post_message(OpenNewRun(str(self.context.run.preset_path), change.set))


def applicable(finding: Finding) -> list[Change]:
    """The remedies that are changes of the preset."""
    return [change for change in finding.changes if change.set]


def lines(findings: Sequence[Finding], at: int, remedy: int, width: int, *, read: bool = True) -> list[Line]:
    """All findings in a line each, and below the marked one all there is to say about it."""
    if not findings:
        return [
            [Part(line, "success" if read else "quiet")] for line in wrapped(WELL if read else WAITING, width)
        ]
    page: list[Line] = []
    for number, finding in enumerate(findings):
        sign, tone = SIGNS[finding.severity]
        here = number == at
        for row, line in enumerate(_safe(finding.what, width - 2)):
            page.append([Part(f"{sign} " if row == 0 else "  ", tone), Part(line, "accent" if here else "")])
        if here:
            page += _in_full(finding, remedy, width)
    return page


def _in_full(finding: Finding, remedy: int, width: int) -> list[Line]:
    page: list[Line] = [[Part(f"  {line}")] for line in _safe(finding.evidence, width - 2)]
    page += [[Part(f"  {line}", "quiet")] for line in _safe(finding.why, width - 2)]
    keyed = applicable(finding)
    for change in finding.changes:
        marked = bool(change.set) and keyed[remedy % len(keyed)] is change
        lead = "  d " if marked else "  · "
        rows = _safe(change.say, width - 4)
        page += [
            [Part(lead if row == 0 else "    ", "accent" if marked else "quiet"), Part(line)]
            for row, line in enumerate(rows)
        ]
        if change.set:
            page.append([Part(f"    {words.fit(safe_text(' '.join(change.set)), width - 4)}", "quiet")])
    return page


def _safe(said: str, width: int) -> list[str]:
    return list(wrapped(safe_text(said, limit=1_000), max(8, width)))
