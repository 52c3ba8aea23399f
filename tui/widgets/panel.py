"""What the panels of the Run screen share: a frame, a place in the order, and the run they show.

A panel is told the run as it changes and shows it only while it is seen; it catches up when it appears.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.reactive import reactive
from textual.widget import Widget

from tui.widgets.frame import Frame

if TYPE_CHECKING:
    from dlcore.gauges import GaugeReader
    from dlcore.run_dir import RunDir
    from tui.follow import RunView


@dataclass(frozen=True)
class Context:
    """What a panel may need besides the run's state: its directory, and what asks the machine."""

    run: RunDir
    gauges: GaugeReader


class Panel(Frame):
    """One aspect of a run; a subclass in a module of `tui.panels` is all it takes.

    Attributes:
        KEY: its id, also in the remembered layout; "" for a base class.
        TAB: its name in the line of panels.
        ORDER: where it stands at first.
        SHARE: how wide it is beside others in a lower row.
        view: the run as it is now.
        others: runs to show beside it, where a panel does that.
        awake: its screen is in front and the terminal has the focus.
    """

    KEY: ClassVar[str] = ""
    TAB: ClassVar[str] = ""
    ORDER: ClassVar[int] = 0
    SHARE: ClassVar[int] = 4

    # Arrays in it cannot be compared, and a follower only tells of changes.
    view: reactive[RunView | None] = reactive(None, layout=False, repaint=False, always_update=True)
    others: reactive[tuple[RunView, ...]] = reactive((), layout=False, repaint=False, always_update=True)
    awake: reactive[bool] = reactive(False, layout=False, repaint=False)

    def __init__(self, context: Context) -> None:
        super().__init__(id=self.KEY)
        self.context = context
        self.frame_title = self.TAB.capitalize()
        self._stale = False
        self._shown = False

    @property
    def seen(self) -> bool:
        """Whether what it shows can be seen."""
        return self._shown

    @property
    def ready(self) -> bool:
        """Whether it shows what there is, and no longer waits for it."""
        return self.view is not None and not self._stale

    def watch_view(self) -> None:
        """Shows the run, or notes that it must when it appears."""
        self._stale = True
        self._catch_up()

    def watch_others(self) -> None:
        """A matter of its own for most panels."""

    def watch_awake(self) -> None:
        """Threads of its own rest with it."""
        self.follow(self.awake and self.seen)

    def on_show(self) -> None:
        """Shows what happened meanwhile."""
        self._shown = True
        self._catch_up()
        self.follow(self.awake)

    def on_hide(self) -> None:
        """Nobody looks."""
        self._shown = False
        self.follow(False)

    def on_unmount(self) -> None:
        """Threads end with it."""
        self.follow(False)

    def _catch_up(self) -> None:
        if self._stale and self.view is not None and self.seen:
            self._stale = False
            self.show_view(self.view)

    def show_view(self, view: RunView) -> None:
        """Shows the run."""
        raise NotImplementedError

    def follow(self, wanted: bool) -> None:
        """Starts or stops a thread of its own, where it has one; asked as often as it pleases."""

    @property
    def heart(self) -> Widget:
        """The widget inside that takes keys."""
        raise NotImplementedError
