"""Other runs laid over the charts of one: chosen from its folder, followed like it while it is in front."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.reactive import reactive

from tui import words
from tui.screens.base import AppScreen
from tui.screens.dialogs import Choice, Choose

if TYPE_CHECKING:
    from dlcore.run_dir import RunSummary
    from tui.follow import RunFollower, RunView

MOST = 3  # runs over a chart that has train and validation already
OFFERED = 9
NONE = ""


class OverlayScreen(AppScreen):
    """A screen of one run, on whose charts others may lie.

    Attributes:
        others: the runs laid over it, as they are now.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "overlay", "Overlay", id="run.overlay", tooltip="Lay another run over the charts"),
    ]

    others: reactive[tuple[RunView, ...]] = reactive((), layout=False, repaint=False, always_update=True)

    def __init__(self) -> None:
        super().__init__()
        self._overlays: dict[Path, RunFollower] = {}
        self._awake_overlays = False

    @property
    def own_path(self) -> Path:
        """Of the run that the others lie over."""
        raise NotImplementedError

    def follow_overlays(self, wanted: bool) -> None:
        """Reads them, or rests."""
        self._awake_overlays = wanted
        for follower in self._overlays.values():
            if wanted:
                follower.start()
            else:
                follower.stop()

    def take_overlay(self, view: RunView) -> None:
        """One of them has something new; news of one that was taken off comes too late."""
        if view.path in self._overlays:
            known = {other.path: other for other in self.others} | {view.path: view}
            self.others = tuple(known[path] for path in self._overlays if path in known)

    @work(exclusive=True, group="overlay")
    async def action_overlay(self) -> None:
        """Asks which run; one that lies there already is taken off."""
        from dlcore.run_dir import list_runs

        runs = await asyncio.to_thread(list_runs, self.own_path.parent)
        offered = [run for run in runs if run.path != self.own_path][:OFFERED]
        if not offered:
            self.notify("There is no other run in this folder.", markup=False)
            return
        choices = [self._choice(run) for run in offered]
        if self._overlays:
            choices.append(Choice(NONE, "None", "this run alone"))
        answer = await self.app.push_screen_wait(Choose("Lay over the charts", choices))
        if answer is not None:
            self._toggle(answer)

    def _choice(self, run: RunSummary) -> Choice:
        best = f"{run.best['metric']} {words.metric(run.best['value'])}" if run.best else ""
        mark = "✓ " if run.path in self._overlays else ""
        detail = "  ".join(part for part in (words.status(run.status), best) if part)
        return Choice(str(run.path), f"{mark}{words.fit(run.name, 34)}", detail)

    def _toggle(self, answer: str) -> None:
        from tui.follow import RunFollower

        path = Path(answer)
        if answer == NONE:
            gone = list(self._overlays)
        elif path in self._overlays:
            gone = [path]
        else:
            gone = list(self._overlays)[: max(0, len(self._overlays) - MOST + 1)]
            self._overlays[path] = RunFollower(self.post_message, path)
        for each in gone:
            self._overlays.pop(each).stop()
        self.others = tuple(other for other in self.others if other.path in self._overlays)
        self.follow_overlays(self._awake_overlays)
