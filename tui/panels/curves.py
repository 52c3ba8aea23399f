"""Two charts of a run: its losses, and the metric it is judged by or any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui import words
from tui.run_state import LIVE
from tui.sentences import in_order
from tui.widgets.chart import Chart, ChartSeries
from tui.widgets.panel import Context, Panel

if TYPE_CHECKING:
    from tui.follow import Curve, RunView
    from tui.widgets.chart_series import Role

FREE = 2  # the first of a chart's colours for runs that neither train nor validation has
LAST = (
    "lr",
    "grad_norm",
    "update_ratio",
    "samples_per_second",
)  # curves of the training, offered after the metrics


class CurvePanel(Panel):
    """A chart of curves that a subclass names."""

    EMPTY = "Curves appear here with the first steps."

    def compose(self) -> ComposeResult:
        """The chart."""
        yield Chart(empty=self.EMPTY)

    @property
    def chart(self) -> Chart:
        """The chart."""
        return self.query_one(Chart)

    @property
    def heart(self) -> Widget:  # noqa: D102
        return self.chart

    def names(self, view: RunView) -> list[str]:
        """The curves to show."""
        raise NotImplementedError

    def show_view(self, view: RunView) -> None:  # noqa: D102
        names = self.names(view)
        self.chart.live = view.status in LIVE
        self.chart.set_series([*series(view, names), *overlays(self.others, names)])
        self.frame_state = self.chart.state_text if names else ""

    def watch_others(self) -> None:
        """Draws the others, too."""
        self.watch_view()

    @on(Chart.ViewChanged)
    def _chart_view_changed(self, event: Chart.ViewChanged) -> None:
        event.stop()
        self.frame_state = event.chart.state_text


class LossPanel(CurvePanel):
    """Training and validation loss, and every other loss the task has."""

    KEY = "loss"
    TAB = "loss"
    ORDER = 1

    def names(self, view: RunView) -> list[str]:  # noqa: D102
        losses = (name for name in view.curves if "loss" in _leaf(name))
        return in_order(name for name in losses if not name.startswith("test/"))


class MetricPanel(CurvePanel):
    """One metric at a time; at first the one that decides what is best."""

    KEY = "metric"
    TAB = "metric"
    ORDER = 2
    EMPTY = "The first validation figures appear here when an epoch ends."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "turn(-1)", "Metric", key_display="[", id="metric.before",
                tooltip="The metric before", show=False),
        Binding("right_square_bracket", "turn(1)", "Metric", key_display="]", id="metric.next",
                tooltip="Another metric"),
    ]  # fmt: skip

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._chosen = ""

    def names(self, view: RunView) -> list[str]:  # noqa: D102
        leaf = self._leaf(view)
        self.frame_title = leaf.replace("_", " ").capitalize() if leaf else "Metric"
        return [name for name in (f"train/{leaf}", f"val/{leaf}") if name in view.curves]

    def _leaf(self, view: RunView) -> str:
        found = metrics(view.curves)
        if self._chosen in found:
            return self._chosen
        judged = _leaf(view.state.best.metric if view.state.best else view.state.monitor)
        return judged if judged in found else found[0] if found and found[0] not in LAST else ""

    def action_turn(self, by: int) -> None:
        """Another metric."""
        if self.view is None:
            return
        found = metrics(self.view.curves)
        if found:
            now = self._leaf(self.view)
            self._chosen = found[(found.index(now) + by) % len(found) if now in found else 0]
            self.show_view(self.view)


def metrics(curves: Mapping[str, Curve]) -> list[str]:
    """What can be shown beside the losses, by the last part of its name: metrics first."""
    names = (name for name in curves if name.startswith(("train/", "val/")) and "loss" not in _leaf(name))
    leaves = list(dict.fromkeys(_leaf(name) for name in in_order(names)))
    validated = [leaf for leaf in leaves if f"val/{leaf}" in curves]
    others = [leaf for leaf in leaves if leaf not in validated and leaf not in LAST]
    return [*validated, *others, *(leaf for leaf in LAST if leaf in leaves)]


def series(view: RunView, names: Iterable[str]) -> list[ChartSeries]:
    """Curves as charts take them: training and validation keep their colours."""
    found: list[ChartSeries] = []
    counts: dict[Role, int] = {"train": 0, "val": 0}
    for name in names:
        curve = view.curves[name]
        role: Role = "val" if name.startswith("val/") else "train"
        found.append(
            ChartSeries(
                name=_label(name, view.curves),
                x=curve.step,
                y=curve.value,
                role=role,
                index=counts[role],
                time=curve.time,
                steps_per_epoch=float(view.state.steps_per_epoch or 0),
            )
        )
        counts[role] += 1
    return found


def overlays(others: Sequence[RunView], names: Sequence[str]) -> list[ChartSeries]:
    """One curve of each other run: validation where there is one, in colours that are free."""
    found = []
    wanted = sorted(names, key=lambda name: not name.startswith("val/"))
    for number, other in enumerate(others):
        curve = next((other.curves[name] for name in wanted if name in other.curves), None)
        if curve is not None:
            label = words.fit(other.name, 24)
            found.append(
                ChartSeries(
                    name=label,
                    x=curve.step,
                    y=curve.value,
                    role="run",
                    index=FREE + number,
                    time=curve.time,
                    steps_per_epoch=float(other.state.steps_per_epoch or 0),
                )
            )
    return found


def _label(name: str, curves: Mapping[str, Curve]) -> str:
    """``train`` and ``val`` where the part says it all, else the whole name."""
    part, _, leaf = name.partition("/")
    alone = sum(1 for other in curves if "loss" in other and other.startswith(f"{part}/")) < 2
    return part if leaf != "" and ("loss" not in leaf or alone) else name


def _leaf(name: str) -> str:
    return name.partition("/")[2]
