"""What all full screens share: a header of one line above, the keys of the moment below."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import ScreenResume
from textual.reactive import Reactive
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from dlcore.errors import UserError
from dlcore.text_safety import safe_text
from tui.widgets.header import Header
from tui.widgets.keys import KeyBar

if TYPE_CHECKING:
    from textual.notifications import SeverityLevel

    from tui.app import DltuiApp

T = TypeVar("T")
LONGEST = 0.1  # seconds that painting may be held
LOOK = 0.003  # seconds between two looks whether all is there


class AppScreen(Screen[None]):
    """Yields its own widgets from `compose_body`; sets `header`'s attributes as it learns more."""

    # Textual's own repaints the whole screen when the focus moves; what shows the focus repaints itself.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    _seen_before = False
    _held: Timer | None = None
    WHERE = ""
    KEYS: ClassVar[tuple[str, ...]] = ()
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="back", tooltip="Back to the screen before", show=False),
    ]

    def compose(self) -> ComposeResult:
        """The header, the body, the keys."""
        header = Header()
        header.where = self.WHERE
        yield header
        yield from self.compose_body()
        yield KeyBar(self.key_ids)

    def compose_body(self) -> ComposeResult:
        """The widgets between the two lines."""
        yield from ()

    def _on_screen_resume(self, event: ScreenResume) -> None:
        """Textual applies all styles anew; those of a screen that comes for the first time are fresh."""
        event.refresh_styles = self._seen_before
        self._seen_before = True

    def hold_paint(self, ready: Callable[[], bool]) -> None:
        """Nothing is painted until all is there, or for `LONGEST`: one picture with its content, not two."""
        self._held = self.set_interval(LOOK, partial(self._release, ready, time.monotonic() + LONGEST))

    def _release(self, ready: Callable[[], bool], until: float) -> None:
        painted = self._compositor.size.width > 0  # laid out, or the first layout will paint
        if self._held is not None and (time.monotonic() > until or (painted and ready())):
            self._held.stop()
            self._held = None
            if painted:
                self._compositor_refresh()

    def _compositor_refresh(self) -> None:
        """What Textual calls to paint."""
        if self._held is None:
            super()._compositor_refresh()

    @property
    def header(self) -> Header:
        """The first line."""
        return self.query_one(Header)

    @property
    def dltui(self) -> DltuiApp:
        """The app, as the type it is."""
        return cast("DltuiApp", self.app)

    def key_ids(self) -> Sequence[str]:
        """Ids of the bindings that matter now, the most important first; where empty, their own order."""
        return self.KEYS

    async def in_thread(self, function: Callable[..., T], *args: Any, **options: Any) -> T | None:
        """What it returns; None after an error that a person can mend, which is told."""
        try:
            return await asyncio.to_thread(function, *args, **options)
        except UserError as error:
            self.tell("\n".join(error.lines), "error")
            return None

    def tell(self, text: str, severity: SeverityLevel = "information") -> None:
        """A notice in the corner, never read as markup."""
        self.notify(safe_text(text, newlines=True), severity=severity, markup=False)

    def action_back(self) -> None:
        """Leaves this screen; on the first one there is nothing to go back to."""
        if len(self.app.screen_stack) > 1:
            self.dismiss()
