"""What is done with a draft beside editing it: begin from a preset, save it, show it as text, start it.

A mixin for the New-run screen. Files and processes are dealt with in threads; errors that a person can mend
are told and leave the draft as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from textual import work

from dlcore.text_safety import safe_text
from tui.draft import BLANK, Draft
from tui.engine_client import EngineClient
from tui.messages import OpenRun
from tui.screens.base import AppScreen
from tui.screens.dialogs import Confirm, Prompt


class DraftChores(AppScreen):
    """Works on `draft`; `draft_replaced` is called when it became another one, or came from another file.

    Attributes:
        draft: None until it has been read.
        starting: a run is being made of it.
    """

    draft: Draft | None = None
    engine: EngineClient
    starting = False

    def draft_replaced(self) -> None:
        """The draft, or what it is called, is another one now."""

    def starting_changed(self) -> None:
        """`starting` has changed."""

    @work(exclusive=True, group="draft")
    async def open_draft(self, source: str | None, changes: Sequence[str] = ()) -> None:
        """Begins from a preset, or from nothing, with overrides of it made."""
        from tui import draft_files

        draft = Draft(BLANK)
        if source is not None:
            draft = await self.in_thread(draft_files.load, source, changes) or self.draft or draft
        if draft is not self.draft:
            self.draft = draft
            self.draft_replaced()

    @work(exclusive=True, group="dialog")
    async def choose_preset(self) -> None:
        """Has a preset picked to begin from."""
        from tui.screens.picker import Item, Picker
        from tui.widgets.preset_list import offers

        items = [
            Item(offer.name, offer.title, f"chapter {offer.chapter}")
            for offer in await asyncio.to_thread(offers)
        ]
        items.append(Item(_FILE, "Your own preset: name the file."))
        picked = await self.app.push_screen_wait(Picker("Begin from a preset", items))
        if picked == _FILE:
            picked = await self.app.push_screen_wait(Prompt("Begin from a file", question="Path of a preset"))
        if not picked or not await self._may_be_lost("Another preset?"):
            return
        self.open_draft(picked)

    @work(exclusive=True, group="dialog")
    async def save_draft(self) -> None:
        """Asks for a file and writes the preset."""
        from tui import draft_files

        if self.draft is None:
            return
        own = self.draft.source if self.draft.source.endswith(".toml") else f"{self.draft.title}.toml"
        answer = await self.app.push_screen_wait(
            Prompt("Save the preset", question="File", value=own, check=_no_file)
        )
        if answer is None:
            return
        path = Path(answer).expanduser()
        path = path if path.suffix else path.with_suffix(".toml")
        if path.exists():
            question = f"{safe_text(path)} is there already."
            if not await self.app.push_screen_wait(Confirm("Replace the file?", question, agree="replace")):
                return
        if await self.in_thread(_done, draft_files.save, self.draft, path):
            self.draft.saved(path)
            self.draft_replaced()
            self.tell(f"Saved: dltui run {path}")

    @work(exclusive=True, group="dialog")
    async def show_text(self) -> None:
        """The command and the preset as text."""
        from tui.screens.preset_text import SAVE, PresetText

        if self.draft is None:
            return
        if await self.app.push_screen_wait(PresetText(self.draft, self.engine)) == SAVE:
            self.save_draft()

    @work(exclusive=True, group="start")
    async def start_draft(self, *, unchecked: bool) -> None:
        """Starts the run and opens it.

        Args:
            unchecked: nobody could check the draft, so the worker's own word is waited for.
        """
        from tui import draft_files

        if self.draft is None or self.starting:
            return
        self.starting = True
        self.starting_changed()
        path = await self.in_thread(
            draft_files.start,
            self.draft,
            self.dltui.runs,
            wait_ready=unchecked,
            warn=lambda line: self.app.call_from_thread(self.tell, line, "warning"),
        )
        self.starting = False
        self.starting_changed()
        if path is not None:
            self.app.post_message(OpenRun(path))
            self.dismiss()

    @work(exclusive=True, group="dialog")
    async def leave(self) -> None:
        """Back to the screen before; asks where something would be lost."""
        if await self._may_be_lost("Leave the new run?"):
            self.dismiss()

    async def _may_be_lost(self, title: str) -> bool:
        if self.draft is None or not self.draft.changed:
            return True
        question = "What you have changed here is not saved; ctrl+s would save it as a preset."
        answer = await self.app.push_screen_wait(Confirm(title, question, agree="leave it behind"))
        return answer is True


_FILE = "a file …"


def _done(function: Callable[..., None], *args: Any) -> bool:
    function(*args)
    return True


def _no_file(text: str) -> str | None:
    """Why a text cannot name the file to save to."""
    path = Path(text.strip() or ".").expanduser()
    if path.is_dir():
        return "Name a file."
    return None if path.parent.is_dir() else f"There is no folder {safe_text(path.parent)}."
