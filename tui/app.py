"""The terminal app: which screen is shown, themes, the bindings of every screen, and a clean way out.

Screens are imported when they are opened: the first paint waits for nothing but the frame of the list.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from dlcore.text_safety import safe_text
from tui import themes
from tui.messages import OpenCompare, OpenEvaluation, OpenInspector, OpenNewRun, OpenRun
from tui.preferences import Preferences
from tui.screens.runs import RunsScreen
from tui.widgets import spans
from tui.widgets.shown import Shown

if TYPE_CHECKING:
    from dlcore.gauges import GaugeReader

PATIENCE = 3.0  # seconds to leave properly after a signal, before the process ends anyway
HANGUP_CHECK = 5.0
WARM_UP = 1.0  # seconds after which a run that is attached is on the screen
SWITCH = 0.001  # seconds a thread may keep the others waiting; followers must not be felt in the keys
_KEYS = {
    "question_mark": "?",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "escape": "esc",
    "delete": "del",
}


class DltuiApp(App[None]):
    """The app.

    Args:
        runs: the runs folder.
        attach: a run to show at once.
        now: Unix seconds; tests give a frozen clock.
        preferences: what a person likes; kept in memory only when left out.
        gauges: makes what reads this machine's GPUs for the header; nothing is read when left out.
        real_terminal: draw on this process's terminal and heed signals, not as tests do.
    """

    TITLE = "dltui"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    ENABLE_COMMAND_PALETTE = False  # Textual's; ctrl+p is bound to our own
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "keys", "Keys", id="keys", tooltip="All keys of this screen", show=False),
        Binding("ctrl+p", "command_palette", "Palette", id="palette", tooltip="Find any action", show=False),
        Binding("q", "leave", "Leave", id="leave", tooltip="Leave dltui; what trains goes on", show=False),
        Binding("ctrl+q", "quit", "Quit", id="quit", tooltip="Leave without a question; what trains goes on",
                show=False, priority=True),
        Binding("ctrl+l", "redraw", "Redraw", id="redraw", tooltip="Draw the whole screen anew", show=False),
        Binding("ctrl+z", "suspend_process", "Suspend", id="suspend", tooltip="To the shell", show=False),
    ]  # fmt: skip

    def __init__(
        self,
        runs: Path,
        *,
        attach: Path | None = None,
        now: Callable[[], float] = time.time,
        preferences: Preferences | None = None,
        gauges: Callable[[], GaugeReader] | None = None,
        real_terminal: bool = False,
    ) -> None:
        if real_terminal:
            from tui.driver import TerminalDriver

            super().__init__(driver_class=TerminalDriver)
        else:
            super().__init__()
        self.runs = runs
        self.now = now
        self.preferences = preferences or Preferences(None)
        self.gauges = gauges
        self.shown = Shown()
        self._attached = attach
        self._real_terminal = real_terminal
        for theme in themes.THEMES:
            self.register_theme(theme)
        # $TEXTUAL_THEME is the value already, looked up when it was not registered yet.
        self.set_reactive(App.theme, "textual-dark")
        self.theme = self._first_theme()
        self.animation_level = "none"  # bytes that say nothing, many of them over a slow line

    def _first_theme(self) -> str:
        """As the environment says, as fits 16 colours, or as last time."""
        chosen = os.environ.get("TEXTUAL_THEME", "")
        if chosen not in self.available_themes:
            chosen = self.preferences.get("theme", themes.DEFAULT)
            if self._real_terminal and self.console.color_system == "standard":
                chosen = themes.SIXTEEN.name
        return chosen if chosen in self.available_themes else themes.DEFAULT

    def get_css_variables(self) -> dict[str, str]:
        """A theme's colours and our own tokens."""
        variables = super().get_css_variables()
        self.theme_variables = themes.tokens(variables) | variables
        return self.theme_variables

    # Coming.

    def get_default_screen(self) -> Screen[None]:
        """The list of runs lies under every other screen, blank while a run is on its way."""
        return RunsScreen(behind=safe_text(self._attached.name) if self._attached is not None else "")

    def on_load(self) -> None:
        """Signals are heeded before the terminal is changed."""
        if self._real_terminal:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, self._signalled)
            sys.setswitchinterval(SWITCH)

    def warm_up(self, *, engine: bool = True) -> None:
        """Called when the first screen shows what it has: there is time for imports now.

        Args:
            engine: start it, too: somebody may be about to set up a run.
        """
        if self._real_terminal:
            from tui import warm

            warm.start(engine=engine)

    def on_mount(self) -> None:
        """Opens what was asked for on the command line."""
        if self._attached is not None:
            self.call_after_refresh(self.post_message, OpenRun(self._attached))
            self.set_timer(WARM_UP, partial(self.warm_up, engine=False))  # who attaches wants to watch
        if self._real_terminal:
            self.set_interval(HANGUP_CHECK, self._check_terminal)

    @property
    def runs_label(self) -> str:
        """The runs folder as a person would write it, safe to print."""
        shown = str(self.runs)
        for base, mark in ((Path.cwd(), ""), (Path.home(), "~/")):
            if self.runs.is_relative_to(base) and self.runs != base:
                shown = f"{mark}{self.runs.relative_to(base)}"
                break
        return f"{safe_text(shown, limit=40)}/"

    # Screens.

    @on(OpenRun)
    def _open_run(self, message: OpenRun) -> None:
        from tui.screens.run import RunScreen

        self.push_screen(RunScreen(message.path, known=message.known))

    @on(OpenNewRun)
    def _open_new_run(self, message: OpenNewRun) -> None:
        from tui.screens.new_run import NewRunScreen

        self.push_screen(NewRunScreen(message.preset, changes=message.changes))

    @on(OpenInspector)
    def _open_inspector(self, message: OpenInspector) -> None:
        from tui.screens.inspector import InspectorScreen

        self.push_screen(InspectorScreen(message.path))

    @on(OpenEvaluation)
    def _open_evaluation(self, message: OpenEvaluation) -> None:
        from tui.screens.evaluation import EvaluationScreen

        self.push_screen(EvaluationScreen(message.path))

    @on(OpenCompare)
    def _open_compare(self, message: OpenCompare) -> None:
        from tui.screens.compare import CompareScreen

        self.push_screen(CompareScreen(message.paths))

    def action_keys(self) -> None:
        """Every key of this screen."""
        from tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    def action_command_palette(self) -> None:
        """Every action of this screen, by name."""
        from tui.screens.palette import Entry, PaletteScreen

        async def do(entry: Entry | None) -> None:
            if entry is not None:
                await self.run_action(entry.action, entry.node)

        self.push_screen(PaletteScreen(self.screen), do)

    def action_use_theme(self, name: str) -> None:
        """Other colours, now and next time."""
        self.theme = name
        self.preferences.set("theme", name)

    def action_picture(self) -> None:
        """Saves the screen as SVG where downloads go."""
        self.deliver_screenshot()

    def get_key_display(self, binding: Binding) -> str:
        """Keys as they are written on keyboards and in the manual: ``enter``, ``ctrl+r``, ``/``."""
        if binding.key_display:
            return binding.key_display
        *modifiers, key = binding.key.split("+")
        return "+".join([*modifiers, _KEYS.get(key, key)])

    # Painting.

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        """What Textual calls with every update: only news are sent."""
        spans.narrow(screen)
        super()._display(screen, spans.only_news(renderable, self.shown))

    def on_resize(self) -> None:
        """Terminals move about what they show when their size changes."""
        self.shown.forget()

    def redraw_soon(self) -> None:
        """As `action_redraw`, from a signal handler."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.action_redraw)

    def action_redraw(self) -> None:
        """Paints over what another program left on the terminal."""
        self.shown.forget()
        self.screen.refresh()

    # Leaving.

    def action_leave(self) -> None:
        """Leaves the app; nothing that trains is touched."""
        self.exit()

    def action_help_quit(self) -> None:
        """ctrl+c with nothing selected: says how to leave, and does nothing."""
        self.notify("Press q to leave; what trains goes on.", markup=False)

    def leave_from_outside(self, number: signal.Signals) -> None:
        """Leaves properly from any thread or signal handler; if that takes too long, leaves anyway."""
        code = 128 + number
        watchdog = threading.Timer(PATIENCE, _force, (code,))
        watchdog.daemon = True
        watchdog.start()
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # closed: already on the way out
                loop.call_soon_threadsafe(self.exit, None, code)

    def _signalled(self, number: int, _: FrameType | None) -> None:
        self.leave_from_outside(signal.Signals(number))

    def _check_terminal(self) -> None:
        from tui.driver import TerminalDriver

        if isinstance(self._driver, TerminalDriver) and self._driver.is_hung_up():
            self.leave_from_outside(signal.SIGHUP)


def _force(code: int) -> None:
    """Ends the process when the app cannot: a terminal that takes no more bytes blocks it."""
    from tui.terminal import mend

    threading.Thread(target=mend, daemon=True).start()
    time.sleep(0.2)
    os._exit(code)
