"""One line at the foot of a run: what was asked of the worker and what it said, else what happened last."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui import words

SIGNS = {
    "pending": ("…", "$warning"),
    "done": ("✓", "$success"),
    "refused": ("✗", "$error"),
    "news": ("·", ""),
}


class AskedLine(Widget):
    """Sign and sentence.

    Attributes:
        said: a kind of `SIGNS` and a safe sentence.
    """

    DEFAULT_CSS = """
    AskedLine {
        height: 1;
        color: $foreground;
        padding: 0 1;
        &.-empty { display: none; }
    }
    """

    said: reactive[tuple[str, str]] = reactive(("news", ""), layout=False)

    def render(self) -> Content:
        """The sentence as far as it fits."""
        kind, sentence = self.said
        if not sentence:
            return Content("")
        sign, tone = SIGNS[kind]
        quiet = "$foreground 60%" if kind == "news" else ""
        return Content.assemble((f"{sign} ", tone), (words.fit(sentence, self.size.width - 2), quiet))
