"""What the network answers, for eyes: right and wrong, numbers, pictures, generated text, episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui import words
from tui.folder_follower import FolderFollower, FolderRead
from tui.samples import Sample, Samples, parse
from tui.widgets.gauge import FULL, Part
from tui.widgets.page import Line, Page
from tui.widgets.panel import Context, Panel

if TYPE_CHECKING:
    from tui.follow import RunView

_NONE = "A few test samples with the network's answers appear here when the run is finished."
_DAMAGED = "This file of samples cannot be read. [ and ] go to others."
_PICTURE = 32  # columns of a picture at most
_GAP = 2


class SamplesPanel(Panel):
    """The newest samples; `[` and `]` go back and forth in the training, `,` and `.` in an episode."""

    KEY = "samples"
    TAB = "samples"
    ORDER = 7
    SHARE = 5
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "turn(-1)", "Earlier", key_display="[", id="samples.earlier",
                tooltip="The samples before these"),
        Binding("right_square_bracket", "turn(1)", "Later", key_display="]", id="samples.later",
                tooltip="The samples after these"),
        Binding("comma", "step(-1)", "Back", key_display=",", id="samples.back",
                tooltip="One frame back in the episodes shown", show=False),
        Binding("full_stop", "step(1)", "On", key_display=".", id="samples.on",
                tooltip="One frame on in the episodes shown", show=False),
    ]  # fmt: skip

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._follower = FolderFollower(self.post_message, context.run, context.run.samples_path, parse)
        self._names: tuple[str, ...] = ()
        self._read_once = False
        self._name = ""
        self._samples: Samples | None = None
        self._moment = 0

    def compose(self) -> ComposeResult:
        """The page."""
        yield Page()

    @property
    def page(self) -> Page:
        """The page."""
        return self.query_one(Page)

    @property
    def heart(self) -> Widget:  # noqa: D102
        return self.page

    def show_view(self, view: RunView) -> None:
        """The files are all there is to show."""

    @property
    def ready(self) -> bool:  # noqa: D102
        return self._read_once

    def follow(self, wanted: bool) -> None:  # noqa: D102
        if wanted:
            self._follower.start()
        else:
            self._follower.stop()

    @on(FolderRead)
    def _read(self, event: FolderRead) -> None:
        event.stop()
        self._read_once = True
        if event.name != self._name:
            self._moment = 0
        self._names, self._name = event.names, event.name
        self._samples = event.content
        self._show()

    @on(Page.Resized)
    def _show(self) -> None:
        found = self._samples
        if found is None or not found.rows:
            self.frame_state = ""
            text = _DAMAGED if self._name else _NONE
            self.page.show([[Part(line, "quiet")] for line in wrapped(text, self.page.width)])
            return
        parts = [f"{found.right} of {found.judged} right"] if found.judged else []
        parts += [f"step {words.count(found.step)}"] if found.step is not None else []
        if len(self._names) > 1:
            parts.append(f"{self._names.index(self._name) + 1}/{len(self._names)}")
        if found.moments:
            parts.append(f"frame {self._moment + 1}/{found.moments}")
        self.frame_state = " · ".join(parts)
        self.page.show(lines(found, self.page.width, self._moment))

    def action_turn(self, by: int) -> None:
        """Samples of another time; behind the last one always the newest."""
        if not self._names:
            return
        at = self._names.index(self._name) + by if self._name in self._names else len(self._names) - 1
        at = min(max(at, 0), len(self._names) - 1)
        self._follower.choose("" if at == len(self._names) - 1 else self._names[at])

    def action_step(self, by: int) -> None:
        """Another moment of the episodes; a shorter one waits at its end."""
        if self._samples is not None and self._samples.moments:
            self._moment = min(max(self._moment + by, 0), self._samples.moments - 1)
            self._show()


def wrapped(text: str, width: int) -> list[str]:
    """Lines that fit, line breaks kept."""
    from tui.widgets.text_lines import wrapped as wrap

    return [line for part in text.split("\n") for line in wrap(part, max(8, width))]


def lines(samples: Samples, width: int, moment: int = 0, *, least: int = 8) -> list[Line]:
    """The whole page: pictures side by side, episodes at a moment, then a table, then texts.

    Args:
        least: columns that a sample's pictures and caption get, where there are so many.
    """
    with_pictures = [row for row in samples.rows if row.pictures]
    episodes = [row for row in samples.rows if row.frames and not row.pictures]
    rest = [row for row in samples.rows if not row.pictures and not row.frames]
    page: list[Line] = _gallery(with_pictures, width, least) if with_pictures else []
    if episodes:
        page += [[]] if page else []
        page += _beside([_episode(row, moment, width) for row in episodes], width)
    tabled = [row for row in rest if (row.target or row.prediction) and not row.text]
    if tabled:
        page += [[]] if page else []
        page += _numbers(tabled, width) if samples.numbers else _classes(tabled, width)
    caption = ""
    for row in rest:
        if row.text:
            page += [[]] if page else []
            page += _text(row, width, captioned=row.caption != caption)
            caption = row.caption
    said = [row for row in rest if row.caption and not (row.target or row.prediction or row.text)]
    page += [[]] if page and said else []
    return page + [[_caption(row, width)] for row in said]


def _text(row: Sample, width: int, *, captioned: bool) -> list[Line]:
    """A sample's text, below the verdict on it or below a caption that was not said before."""
    if row.prediction:
        sure = "" if row.sure is None else f"  {100 * row.sure:.0f} %"
        head: list[Line] = [[_caption(row, width - len(sure)), Part(sure, "quiet")]]
    else:
        head = [[Part(words.fit(row.caption, width), "quiet")]] if row.caption and captioned else []
    return head + [[Part(line)] for line in wrapped(row.text, width)]


def _classes(rows: Sequence[Sample], width: int) -> list[Line]:
    """Sign, true class, predicted class, how sure."""
    room = max(6, (width - 2 - 8) // 2 - 2)
    names = [words.cells(name) for row in rows for name in (row.target, row.prediction)]
    column = min(room, max(9, *names))
    heading = f"  {'true':<{column}}  {'predicted':<{column}}  {'sure':>6}"
    page: list[Line] = [[Part(words.fit(heading, width), "quiet")]]
    for row in rows:
        sign, tone = _verdict(row)
        sure = "" if row.sure is None else f"{100 * row.sure:.0f} %"
        text = f"{_padded(row.target, column)}  {_padded(row.prediction, column)}"
        shown = Part(text, "" if row.right else tone)
        page.append([Part(f"{sign} ", tone), shown, Part(f"  {sure:>6}", "quiet")])
    return page


def _numbers(rows: Sequence[Sample], width: int) -> list[Line]:
    """True and predicted numbers with the error as a bar from the middle."""
    column = max(9, *(words.cells(value) for row in rows for value in (row.target, row.prediction)))
    room = min(41, width - 3 * (column + 2))
    most = max((abs(row.error) for row in rows if row.error is not None), default=0.0)
    page: list[Line] = [[Part(f"{'true':>{column}}  {'predicted':>{column}}  {'error':>{column}}", "quiet")]]
    for row in rows:
        error = words.metric(row.error) if row.error is not None else ""
        figures = Part(f"{row.target:>{column}}  {row.prediction:>{column}}  ")
        parts = [figures, Part(f"{error:>{column}}", "quiet")]
        if room >= 9 and row.error is not None and most > 0:
            parts.append(Part(f"  {_swing(row.error / most, room // 2)}", "primary"))
        page.append(parts)
    return page


def _swing(share: float, half: int) -> str:
    """A bar to the left of a line where the share is negative, else to the right."""
    long = min(half, round(abs(share) * half))
    left, right = (FULL * long, "") if share < 0 else ("", FULL * long)
    return f"{left:>{half}}│{right:<{half}}"


def _gallery(rows: Sequence[Sample], width: int, least: int) -> list[Line]:
    """Samples side by side where they fit, each with its pictures and what it is below."""
    column = max(_picture_width(rows, width), min(least, width))
    return _beside([_block(row, column, width) for row in rows], width)


def _beside(blocks: Sequence[_Block], width: int) -> list[Line]:
    """Blocks beside each other where they fit, and below each other."""
    room = max(block.width for block in blocks)
    across = max(1, (width + _GAP) // (room + _GAP))
    page: list[Line] = []
    for start in range(0, len(blocks), across):
        shown = blocks[start : start + across]
        for number in range(max(len(block.lines) for block in shown)):
            cells = [block.lines[number] if number < len(block.lines) else [] for block in shown]
            page.append(_side_by_side(cells, room, _GAP))
        page.append([])
    return page[:-1]


def _picture_width(rows: Sequence[Sample], width: int) -> int:
    """Columns of every picture: as many as it has pixels, fewer where several belong side by side."""
    widest = max(len(picture.pixels[0]) for row in rows for picture in row.pictures)
    most = max(len(row.pictures) for row in rows)
    beside = (width + 1) // most - 1 if most > 1 else width
    return max(8, min(_PICTURE, widest, max(beside, 12), width))


class _Block(NamedTuple):
    """One sample of the gallery; no line is wider than ``width``."""

    lines: list[Line]
    width: int


def _block(row: Sample, column: int, width: int) -> _Block:
    """The pictures of a sample, as many beside each other as fit, their names, and the caption."""
    from tui.widgets import half_blocks

    across = max(1, min(len(row.pictures), (width + 1) // (column + 1)))
    taken = across * (column + 1) - 1
    lines: list[Line] = []
    for start in range(0, len(row.pictures), across):
        shown = row.pictures[start : start + across]
        drawn = [half_blocks.draw(half_blocks.scaled(picture.pixels, column)) for picture in shown]
        for number in range(max(map(len, drawn))):
            cells = [picture[number] if number < len(picture) else [] for picture in drawn]
            lines.append(_side_by_side(cells, column, 1))
        if any(picture.name for picture in shown):
            names = [[Part(words.fit(picture.name, column), "quiet")] for picture in shown]
            lines.append(_side_by_side(names, column, 1))
    caption = _caption(row, taken)
    return _Block([*lines, [caption]] if caption.text.strip("· ") else lines, taken)


def _episode(row: Sample, moment: int, width: int) -> _Block:
    """An episode at a moment, or at its end where it is shorter; as wide as its widest frame."""
    shown = row.frames[min(moment, len(row.frames) - 1)].split("\n")
    widest = max(words.cells(line) for frame in row.frames for line in frame.split("\n"))
    taken = max(8, min(width, max(widest, words.cells(row.caption))))
    drawn: list[Line] = [[Part(words.fit(line, taken))] for line in shown]
    return _Block([*drawn, [_caption(row, taken)]] if row.caption else drawn, taken)


def _side_by_side(cells: Sequence[Sequence[Any]], column: int, gap: int) -> Line:
    line: list[Part | Segment] = []
    for cell in cells:
        taken = sum(words.cells(part.text) for part in cell)
        line += [*cell, Part(" " * (column - taken + gap))]
    return line[:-1]


def _caption(row: Sample, column: int) -> Part:
    if row.caption:
        return Part(words.fit(row.caption, column), _verdict(row)[1])
    sign, tone = _verdict(row)
    said = row.answer(column - 2) or words.fit(row.text.partition("\n")[0], column - 2)
    return Part(f"{sign} {said}", tone)


def _verdict(row: Sample) -> tuple[str, str]:
    """Sign and tone."""
    if row.right is None:
        return "·", "quiet"
    return ("✓", "success") if row.right else ("✗", "error")


def _padded(text: str, column: int) -> str:
    shown = words.fit(text, column)
    return shown + " " * (column - words.cells(shown))
