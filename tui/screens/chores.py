"""Going on with runs, stopping and deleting them: asks where something is lost, works in a thread, tells.

A mixin for screens that show runs. What happened shows in the runs themselves; only errors and what takes
time are told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work

from dlcore.text_safety import safe_text
from tui import words
from tui.messages import OpenCompare
from tui.screens.base import AppScreen
from tui.screens.dialogs import Choice, Choose, Confirm, Prompt

if TYPE_CHECKING:
    from dlcore.run_dir import RunSummary

_NAMED = 6  # runs that a question names one by one


class RunChores(AppScreen):
    """`resume_run`, `stop_runs`, `delete_runs`, `try_beside`; each calls `runs_touched` when it did something."""

    def runs_touched(self) -> None:
        """The files of some run are about to say something new."""

    @work
    async def resume_run(self, run: RunSummary) -> None:
        """Goes on from the last checkpoint; a finished run is asked how far."""
        from tui import run_actions

        if run.alive:
            self.tell(f"{run.name} is {run.status} already.", "warning")
            return
        epochs = None
        if run.status == "finished" and run.epoch >= run.epochs:
            epochs = await self._more_epochs(run)
            if epochs is None:
                return
        self.tell(f"Going on with {run.name} …")
        if await self._do(run_actions.resume, run.path, epochs):
            self.runs_touched()

    async def _more_epochs(self, run: RunSummary) -> int | None:
        def check(text: str) -> str | None:
            if not text.strip().isdecimal() or not run.epoch < int(text) <= 2**31:
                return f"Type a whole number above {run.epoch}."
            return None

        answer = await self.app.push_screen_wait(
            Prompt(
                "Train on",
                question=f"{run.name} has finished its {words.plural(run.epoch, 'epoch')}. Train until epoch",
                value=str(2 * run.epoch),
                check=check,
            )
        )
        return None if answer is None else int(answer)

    @work(exclusive=True, group="try")
    async def try_beside(self, path: Path) -> None:
        """Offers the changes that the run's preset suggests; the one taken trains, and both are compared."""
        from tui import draft_files

        offered = await self.in_thread(draft_files.suggestions, path) or ()
        if not offered:
            self.tell("Its preset suggests nothing to try; n sets up any other run.", "warning")
            return
        choices = [
            Choice(str(number), safe_text(" ".join(each.set), limit=200), safe_text(each.say, limit=400))
            for number, each in enumerate(offered)
        ]
        answer = await self.app.push_screen_wait(Choose("Try beside it", choices))
        if answer is None:
            return
        change = offered[int(answer)].set
        self.tell(f"Starting {words.short_run_name(path.name)} with {' '.join(change)} …")
        started = await self.in_thread(draft_files.start_changed, path, change, self.dltui.runs)
        if started is not None:
            self.app.post_message(OpenCompare([path, started]))

    @work
    async def stop_runs(self, runs: Sequence[RunSummary]) -> None:
        """Asks those that live to save and stop."""
        from tui import run_actions

        living = [run for run in runs if run.alive]
        if not living:
            self.tell("Nothing to stop: no worker trains it.", "warning")
            return
        question = f"{_names(living)}\n\nIt saves a checkpoint first; r goes on from there."
        if not await self.app.push_screen_wait(Confirm("Stop training?", question, agree="stop")):
            return
        for run in living:
            if await self._do(run_actions.stop, run.path):
                self.tell(f"Asked {run.name} to save and stop.")
        self.runs_touched()

    @work
    async def delete_runs(self, runs: Sequence[RunSummary]) -> None:
        """Deletes those that no worker holds."""
        from tui import run_actions

        dead = [run for run in runs if not run.alive]
        if not dead:
            self.tell("A run that trains cannot be deleted; X stops it.", "warning")
            return
        kept = len(runs) - len(dead)
        question = f"{_names(dead)}\n\nCheckpoints, metrics and samples go, too."
        if kept:
            question += f"\n{words.plural(kept, 'run')} still in training {'stays' if kept == 1 else 'stay'}."
        title = f"Delete {words.plural(len(dead), 'run')}?"
        if not await self.app.push_screen_wait(Confirm(title, question, agree="delete")):
            return
        for run in dead:
            if await self._do(run_actions.delete, run.path):
                self.runs_touched()

    async def _do(self, action: Callable[..., None], *arguments: object) -> bool:
        """Whether it was done; an error that a person can mend is told."""
        return await self.in_thread(_done, action, *arguments) is True


def _done(action: Callable[..., None], *arguments: object) -> bool:
    action(*arguments)
    return True


def _names(runs: Sequence[RunSummary]) -> str:
    lines = [run.name for run in runs[:_NAMED]]
    if len(runs) > _NAMED:
        lines.append(f"and {len(runs) - _NAMED:,} more")
    return "\n".join(lines)
