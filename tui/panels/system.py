"""The machine under a run: GPUs where there are any, processors, memory and disk, and the worker's share.

What is not known reads n/a. Nothing is measured when the run is over or nobody looks.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget

from tui import gauge_rows, words
from tui.gauge_follower import GaugeFollower, GaugesRead
from tui.run_state import LIVE
from tui.widgets.gauge import Gauges, Row, sentence
from tui.widgets.panel import Context, Panel

if TYPE_CHECKING:
    from dlcore.gauges import Gpu
    from tui.follow import RunView

MEMORY = 240  # readings that a history can go back
_WAITING = "Asking the machine …"
_OVER = "The run is over, so nothing is measured. Figures of this machine appear here while it trains."


class SystemPanel(Panel):
    """Gauges, a reading a second."""

    KEY = "system"
    TAB = "system"
    ORDER = 3
    SHARE = 5

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._follower = GaugeFollower(self.post_message, context.gauges, context.run)
        self._last: GaugesRead | None = None
        self._past: dict[str, deque[float | None]] = {}

    def compose(self) -> ComposeResult:
        """The rows."""
        yield Gauges()

    @property
    def gauges(self) -> Gauges:
        """The rows."""
        return self.query_one(Gauges)

    @property
    def heart(self) -> Widget:  # noqa: D102
        return self.gauges

    @property
    def _over(self) -> bool:
        return self.view is not None and self.view.status not in LIVE

    def show_view(self, view: RunView) -> None:  # noqa: D102
        self.follow(self.awake and self.seen)
        if self._over:
            self._last = None
        self._show()

    @property
    def ready(self) -> bool:  # noqa: D102
        return super().ready and (self._over or self._last is not None)

    def follow(self, wanted: bool) -> None:  # noqa: D102
        if wanted and self.view is not None and not self._over:
            self._follower.start()
        else:
            self._follower.stop()

    @on(GaugesRead)
    def _read(self, event: GaugesRead) -> None:
        event.stop()
        if self._over:
            return
        self._last = event
        for gpu in event.reading.gpus:
            self._remember(gpu.label, gpu.utilisation)
        self._remember(gauge_rows.CPU, event.reading.host.cpu)
        self._show()

    def _remember(self, name: str, share: float | None) -> None:
        self._past.setdefault(name, deque(maxlen=MEMORY)).append(share)

    @on(Gauges.Resized)
    def _show(self) -> None:
        """The last reading for the present size."""
        gauges, last = self.gauges, self._last
        width, height = gauges.size
        if last is None:
            self.frame_title, self.frame_state, self.frame_tone = "Machine", "", ""
            gauges.show(sentence(_OVER if self._over else _WAITING, width))
            return
        if last.host:
            self.frame_title, self.frame_state = "Machine", last.host
            elsewhere = f"It trains on {last.host}: figures of that machine are not known here."
            gauges.show(sentence(elsewhere, width))
            return
        reading = last.reading
        self.frame_title = title(reading.gpus)
        self.frame_state = reading.note if reading.note and width >= 30 else ""
        self.frame_tone = "warning" if reading.note and reading.gpus else ""
        gauges.show(self._rows(width, height))

    def _rows(self, width: int, height: int) -> list[Row]:
        assert self._last is not None
        reading = self._last.reading
        rows: list[gauge_rows.Ranked] = []
        if len(reading.gpus) == 1:
            rows = gauge_rows.one_gpu(reading.gpus[0], self._past, width)
        elif reading.gpus:
            rows = gauge_rows.many_gpus(reading.gpus, self._past, width)
        rows += gauge_rows.host_rows(reading.host, self._past, width)
        if self.view is not None:
            rows += gauge_rows.step_rows(self.view.state.memory, width)
        rows.append(gauge_rows.Ranked(gauge_rows.LEGEND, 5))
        return gauge_rows.fitting(rows, height)


def title(gpus: tuple[Gpu, ...]) -> str:
    """``GPU 0  H100 80GB HBM3``, ``8 GPUs  H100 80GB HBM3``, ``Machine``."""
    if not gpus:
        return "Machine"
    names = {gpu.name.removeprefix("NVIDIA ") for gpu in gpus}
    name = names.pop() if len(names) == 1 else ""
    many = f"GPU {gpus[0].label}" if len(gpus) == 1 else words.plural(len(gpus), "GPU")
    return f"{many}  {name}".rstrip()
