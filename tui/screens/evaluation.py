"""How good a run's network is: its figures, what its task says of them, and samples that it got right and wrong.

The engine measures, a moment at a time, and shows the samples; this screen only asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from dlcore.text_safety import safe_text
from tui import engine_client, evaluation_views, heat, words
from tui.engine_client import EngineClient
from tui.evaluation import BANDS, VERDICTS, Judged, Wish, changed, next_of, parse
from tui.messages import EngineAnswered
from tui.panels.samples import lines as sample_lines
from tui.samples import Samples
from tui.samples import parse as parse_samples
from tui.screens.panels import PanelScreen
from tui.screens.picker import Item, Picker
from tui.widgets.frame import Frame
from tui.widgets.gauge import Part
from tui.widgets.page import Page
from tui.widgets.tab_line import TabLine

PAGE = 12  # samples
ANY = "any"
SPLITS = ("", "val", "train")
CHECKPOINTS = ("best", "last")


class EvaluationScreen(PanelScreen):
    """One evaluation of one run.

    Args:
        path: of the run directory.
        engine: what measures; None: the app's own.
    """

    HELP_TITLE = "Evaluation"
    WHERE = "evaluation"
    KEYS = ("evaluation.next", "evaluation.verdict", "evaluation.class", "evaluation.on", "back")
    DEFAULT_CSS = """
    EvaluationScreen {
        #panels { layout: grid; grid-size: 2 2; grid-columns: 6fr 7fr; grid-rows: 1fr 2fr; }
        #gallery { row-span: 2; }
        &.-narrow #panels { grid-size: 1 1; grid-columns: 1fr; grid-rows: 1fr; }
        &.-narrow #gallery { row-span: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "section(-1)", "Table before", key_display="[", id="evaluation.before",
                tooltip="The table or plot before this one", show=False),
        Binding("right_square_bracket", "section(1)", "Next table", key_display="]", id="evaluation.next",
                tooltip="The next table or plot of the report"),
        Binding("w", "verdict", "Wrong, right", id="evaluation.verdict",
                tooltip="Wrong samples, right ones, or both"),
        Binding("c", "class('target')", "Class", id="evaluation.class", tooltip="Samples of one true class"),
        Binding("t", "class('prediction')", "Taken for", id="evaluation.taken",
                tooltip="Samples taken for one class"),
        Binding("s", "band", "How sure", id="evaluation.sure", tooltip="Samples within a band of confidence"),
        Binding("o", "order", "Order", id="evaluation.order", tooltip="The other end of them first"),
        Binding("x", "all", "All samples", id="evaluation.all", tooltip="Take every filter off"),
        Binding("comma", "page(-1)", "Samples back", key_display=",", id="evaluation.back",
                tooltip="The samples before these", show=False),
        Binding("full_stop", "page(1)", "More samples", key_display=".", id="evaluation.on",
                tooltip="The samples after these"),
        Binding("p", "split", "Part", id="evaluation.split", tooltip="The test, validation or training part"),
        Binding("k", "checkpoint", "Checkpoint", id="evaluation.checkpoint", tooltip="The best weights, or the last"),
        Binding("r", "again", "Again", id="evaluation.again", tooltip="Measure again: the run may have gone on"),
    ]  # fmt: skip

    def __init__(self, path: Path, *, engine: EngineClient | None = None) -> None:
        super().__init__()
        self.path = path
        self.judged = Judged()
        self.samples = Samples(None, ())
        self.total = 0
        self.wish = Wish()
        self.errors: tuple[str, ...] = ()
        self.gallery_errors: tuple[str, ...] = ()
        self._engine = engine
        self._key: dict[str, Any] = {
            "run": str(path.absolute()),
            "checkpoint": "best",
            "split": "",
            "turn": 0,
        }
        self._asked: dict[str, int] = {}
        self._at = 0  # of the sections

    def compose_body(self) -> ComposeResult:
        """Tab line, figures, report, gallery."""
        self.place_panels(self.app.size)
        yield TabLine(("Figures", "Report", "Gallery"))
        with Container(id="panels"):
            with Frame(title="Figures", id="figures", classes="-active"):
                yield Page(id="figures-page")
            with Frame(title="Gallery", id="gallery"):
                yield Page(id="gallery-page")
            with Frame(title="Report", id="report"):
                yield Page(id="report-page")

    @property
    def engine(self) -> EngineClient:
        """What measures."""
        return self._engine if self._engine is not None else engine_client.shared()

    def page(self, name: str) -> Page:
        """The page inside a panel."""
        return self.query_one(f"#{name}-page", Page)

    def key_ids(self) -> tuple[str, ...]:
        """What chooses samples, where they are right or wrong."""
        if self.judged.sorted_by == "class" or self.judged.state != "done":
            return self.KEYS
        return ("evaluation.next", "evaluation.order", "evaluation.on", "evaluation.split", "back")

    def panel_targets(self) -> tuple[Widget, ...]:  # noqa: D102
        return self.page("figures"), self.page("report"), self.page("gallery")

    @property
    def panels(self) -> list[Frame]:
        """As the tab line has them; the grid wants the tall one second."""
        return [self.query_one(f"#{name}", Frame) for name in ("figures", "report", "gallery")]

    # Asking.

    def on_mount(self) -> None:
        """Asks once the first paint is done."""
        name = safe_text(self.path.name, limit=80)
        self.header.where = words.fit(f"{name} · evaluation", max(20, self.size.width // 2))
        self.app.theme_changed_signal.subscribe(self, lambda _: self._show_report())
        self.call_after_refresh(self._measure)
        self.call_after_refresh(self.page("figures").focus)

    def on_unmount(self) -> None:
        """Nobody waits for it any more."""
        if self.judged.state != "done" and not self.errors:
            self.engine.ask(lambda _: None, "evaluation", run="")

    def _measure(self) -> None:
        self.judged, self.errors = Judged(), ()
        self._asked = {"evaluation": self.engine.ask(self.post_message, "evaluation", **self._key)}
        self._show()

    def _look(self) -> None:
        """Asks for the samples that are wished for."""
        self.gallery_errors = ()
        asked = self._key | self.wish.question() | {"count": PAGE}
        self._asked["gallery"] = self.engine.ask(self.post_message, "gallery", **asked)

    @on(EngineAnswered)
    def _answered(self, message: EngineAnswered) -> None:
        message.stop()
        if self._asked.get(message.kind) not in (None, message.id) or not self.is_attached:
            return
        if message.kind == "gallery":
            self._take_gallery(message)
        elif message.errors:
            self.errors = message.errors
            self._show()
        else:
            self.judged = parse(message.answer)
            if self.judged.state == "done":
                self._at = min(self._at, max(0, len(self.judged.sections) - 1))
                if self.judged.sorted_by == "class" and self.judged.metrics.get("accuracy") == 1:
                    self.wish = changed(self.wish, verdict="right", descending=False)
                self._look()
                self.refresh_bindings()
            self._show()

    def _take_gallery(self, message: EngineAnswered) -> None:
        self.gallery_errors = message.errors
        found = message.answer if isinstance(message.answer, Mapping) else {}
        about = {"spec": {"class_names": list(self.judged.classes)}}
        self.samples = evaluation_views.captioned(parse_samples({"samples": found.get("rows")}, about))
        total, offset = found.get("total"), found.get("offset")
        self.total = total if type(total) is int else 0
        if type(offset) is int:
            self.wish = self.wish._replace(offset=offset)
        self._show_gallery()
        self.page("gallery").scroll_home(animate=False)

    # Showing.

    def _show(self) -> None:
        self._show_figures()
        self._show_report()
        self._show_gallery()

    def _show_figures(self) -> None:
        page = self.page("figures")
        frame = self.query_one("#figures", Frame)
        frame.frame_state, frame.frame_tone = "", ""
        if self.errors:
            frame.frame_state, frame.frame_tone = "failed", "error"
            advice = "r tries again, p another part, k other weights."
            page.show(
                [
                    *([Part(line, "error")] for line in _wrapped(self.errors, page.width)),
                    [],
                    [Part(advice, "quiet")],
                ]
            )
        elif self.judged.state == "done":
            frame.frame_state = f"{self._key['checkpoint']} weights"
            page.show(evaluation_views.figures(self.judged, page.width))
        else:
            page.show(evaluation_views.progress(self.judged, page.width))

    def _show_report(self) -> None:
        page, frame = self.page("report"), self.query_one("#report", Frame)
        sections = list(self.judged.sections.values())
        if not sections or self.errors:
            frame.frame_title, frame.frame_state = "Report", ""
            done = self.judged.state == "done"
            text = "This task says nothing besides its figures." if done else "Tables and plots come here."
            page.show([[Part(words.fit(text, page.width), "quiet")]])
            return
        here = sections[self._at]
        frame.frame_title = evaluation_views.title(here)
        frame.frame_state = f"[ {self._at + 1}/{len(sections)} ]"
        palette = heat.on_theme(dark=self.app.current_theme.dark)
        page.show(evaluation_views.section(here, page.width, page.size.height, palette))

    def _show_gallery(self) -> None:
        page, frame = self.page("gallery"), self.query_one("#gallery", Frame)
        frame.frame_state = ""
        if self.gallery_errors:
            page.show([[Part(line, "error")] for line in _wrapped(self.gallery_errors, page.width)])
        elif self.judged.state != "done" or self.errors:
            page.show([[Part("Samples come here when all are measured.", "quiet")]])
        else:
            first = self.wish.offset + 1
            last = self.wish.offset + len(self.samples.rows)
            span = f"{first:,}–{last:,} of {self.total:,}" if self.samples.rows else f"{self.total:,}"
            frame.frame_state = " · ".join(part for part in (self.wish.told(self.judged), span) if part)
            if self.samples.rows:
                page.show(sample_lines(self.samples, page.width, least=evaluation_views.CAPTION))
            elif "gallery" in self._asked and not self.total:
                page.show([[Part("No sample is like that; x takes the filters off.", "quiet")]])

    @on(Page.Resized)
    def _page_resized(self) -> None:
        self._show()

    # Keys.

    def action_section(self, by: int) -> None:
        """Another table or plot."""
        if self.judged.sections:
            self._at = (self._at + by) % len(self.judged.sections)
            self.page("report").scroll_home(animate=False)
            if self.has_class("-narrow"):
                self.action_go(1)
            self._show_report()

    def _wish(self, **changes: Any) -> None:
        """Other samples, if there are any to choose from."""
        if self.judged.state != "done":
            self.notify("The samples are not measured yet.", markup=False)
            return
        if "offset" not in changes and "descending" not in changes and self.judged.sorted_by != "class":
            self.notify(
                "Samples of this task are neither right nor wrong; o turns their order.", markup=False
            )
            return
        self.wish = changed(self.wish, **changes)
        self._look()
        if self.has_class("-narrow"):
            self.action_go(2)

    def action_verdict(self) -> None:
        """Wrong, right, both."""
        self._wish(verdict=next_of(VERDICTS, self.wish.verdict))

    def action_band(self) -> None:
        """The next band of confidence."""
        self._wish(band=(self.wish.band + 1) % len(BANDS))

    def action_order(self) -> None:
        """The other end first."""
        self._wish(descending=not self.wish.descending)

    def action_all(self) -> None:
        """No filter."""
        self._wish(verdict="", target=None, prediction=None, band=0)

    def action_page(self, by: int) -> None:
        """Samples further on."""
        offset = self.wish.offset + by * PAGE
        if 0 <= offset < self.total or (by < 0 and self.wish.offset):
            self._wish(offset=max(0, offset))

    @work(exclusive=True, group="class")
    async def action_class(self, which: str) -> None:
        """Asks for a class; the one that is marked is taken off by `any`."""
        if self.judged.state != "done" or self.judged.sorted_by != "class":
            self._wish(**{which: None})
            return
        title = "True class" if which == "target" else "Taken for"
        now = getattr(self.wish, which)
        names = [
            f"{code} {name}" if name != str(code) else name for code, name in enumerate(self.judged.classes)
        ]
        items = [Item(ANY, "samples of every class"), *(Item(name) for name in names)]
        answer = await self.app.push_screen_wait(Picker(title, items, ANY if now is None else names[now]))
        if answer is not None:
            self._wish(**{which: None if answer == ANY else names.index(answer)})

    def _other(self, **changes: Any) -> None:
        self._key |= changes
        self._measure()

    def action_split(self) -> None:
        """Another part of the data."""
        self._other(split=next_of(SPLITS, self._key["split"]))

    def action_checkpoint(self) -> None:
        """Other weights."""
        self._other(checkpoint=next_of(CHECKPOINTS, self._key["checkpoint"]))

    def action_again(self) -> None:
        """Once more; an engine that could not be started gets another chance."""
        self.engine.restart()
        self._other(turn=self._key["turn"] + 1)


def _wrapped(lines: tuple[str, ...], width: int) -> list[str]:
    from tui.widgets.text_lines import wrapped

    return [part for line in lines for part in wrapped(safe_text(line), max(8, width))]
