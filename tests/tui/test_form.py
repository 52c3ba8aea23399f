"""The form: each kind of field, moving, errors, and what it tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual import on
from textual.app import App, ComposeResult
from textual.events import Paste
from textual.pilot import Pilot

from tests.tui.recorded import HOSTILE
from tui import field_text, themes
from tui.catalogue import Option
from tui.form_rows import MORE, Row
from tui.widgets.form import Form

OPTIONS = {
    "epochs": Option("epochs", "int", 10),
    "lr": Option("lr", "float", 0.001),
    "channels": Option("channels", "list of int", [32, 64]),
    "path": Option("path", "str", None, required=True),
    "hidden": Option("hidden", "int or list of int", 128),
    "batch_norm": Option("batch_norm", "bool", False),
    "padding": Option("padding", "one of same, valid", "same", choices=("same", "valid")),
}
TYPED = ["epochs", "lr", "channels", "path", "hidden"]


class Host(App[None]):
    """A form on its own; takes edits as the screen does."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen: dict[str, Any] = {}
        self.told: list[tuple[str, str | None]] = []
        self.picked: list[tuple[str, int]] = []

    def get_css_variables(self) -> dict[str, str]:
        variables = super().get_css_variables()
        return themes.tokens(variables) | variables

    def compose(self) -> ComposeResult:
        yield Form()

    def rows(self) -> list[Row]:
        rows = [Row(("model", "name"), "model", "builder", Option("name", "", None), "cnn", indent=False)]
        for name, option in OPTIONS.items():
            value = self.chosen.get(name, option.default)
            text = field_text.show(option, value)
            rows.append(
                Row(("model", name), name, field_text.kind(option), option, text, name in self.chosen)
            )
        return [*rows, Row(MORE, "3 more", "more", Option("more", "", None), "▸", indent=False)]

    def on_mount(self) -> None:
        self.form.show(self.rows())
        self.form.focus()

    @property
    def form(self) -> Form:
        return self.query_one(Form)

    @on(Form.Edited)
    def edited(self, event: Form.Edited) -> None:
        event.form.heard()
        name = event.row.place[1]
        self.told.append((name, event.text))
        value = None if event.text is None else field_text.parse(event.row.option, event.text)
        if value is None:
            self.chosen.pop(name, None)
        else:
            self.chosen[name] = value
        self.form.show(self.rows())

    @on(Form.Picking)
    def picking(self, event: Form.Picking) -> None:
        self.picked.append((event.row.place[1], event.step))


@asynccontextmanager
async def at(name: str, size: tuple[int, int] = (50, 20)) -> AsyncIterator[tuple[Host, Pilot[None]]]:
    """A form whose cursor is on a field."""
    app = Host()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert app.form.go_to(("model", name) if name != "more" else MORE)
        await pilot.pause()
        yield app, pilot


def shown(app: Host, label: str) -> str:
    """The value on the line with a label."""
    for y in range(app.form.size.height):
        line = app.form.render_line(y).text
        if line.strip().startswith(f"{label} "):
            return line.strip().removeprefix(label).strip(" ▾")
    raise AssertionError(f"no line {label}")


@pytest.mark.parametrize(
    ("name", "keys", "value"),
    [
        ("epochs", "25", 25),
        ("lr", "3e-4", 3e-4),
        ("channels", "8,16,32", [8, 16, 32]),
        ("path", "a b.csv", "a b.csv"),
        ("hidden", "[8,4]", [8, 4]),
        ("epochs", "many", "many"),
    ],
)
async def test_typing_replaces_the_value_of_a_field(name: str, keys: str, value: Any) -> None:
    async with at(name) as (app, pilot):
        await pilot.press(*(_key(sign) for sign in keys))
        assert app.chosen[name] == value
        assert app.told[-1] == (name, keys)


@pytest.mark.parametrize("name", TYPED)
async def test_a_typed_field_takes_every_key_that_prints(name: str) -> None:
    async with at(name) as (app, pilot):
        await pilot.press(*"qj1k", "question_mark", "slash", "space")
        assert app.told[-1] == (name, "qj1k?/ ")


async def test_what_is_being_typed_is_not_rewritten() -> None:
    async with at("channels") as (app, pilot):
        for sign in "8, ":
            await pilot.press(_key(sign))
        assert app.form.line.text == "8, " and app.chosen["channels"] == [8]
        await pilot.press("down")
        assert shown(app, "channels") == "8"


async def test_the_cursor_moves_in_the_text_and_edits_there() -> None:
    async with at("epochs") as (app, pilot):
        await pilot.press("home", "2", "end", "backspace", "5")
        assert app.chosen["epochs"] == 215
        await pilot.press("left", "delete", "left", "left", "ctrl+k")
        assert app.form.line.text == ""
        assert "epochs" not in app.chosen


async def test_words_are_skipped_and_deleted() -> None:
    async with at("path") as (app, pilot):
        app.chosen["path"] = "my data file.csv"
        app.form.show(app.rows())
        await pilot.press("end", "ctrl+left", "ctrl+left", "ctrl+w")
        assert app.chosen["path"] == "my file.csv"
        await pilot.press("ctrl+right", "ctrl+u")
        assert app.chosen["path"] == "csv"


async def test_a_paste_is_typed() -> None:
    async with at("path") as (app, pilot):
        app.form.post_message(Paste("\n/tmp/x.csv\nmore"))
        await pilot.pause()
        assert app.chosen["path"] == "/tmp/x.csv"


@pytest.mark.parametrize("key", ["enter", "space", "left", "right"])
async def test_a_switch_flips(key: str) -> None:
    async with at("batch_norm") as (app, pilot):
        await pilot.press(key)
        assert app.chosen["batch_norm"] is True
        await pilot.press(key)
        assert app.chosen["batch_norm"] is False


@pytest.mark.parametrize("name", ["padding", "name"])
async def test_a_choice_opens_a_list_or_steps(name: str) -> None:
    async with at(name) as (app, pilot):
        await pilot.press("enter", "space", "left", "right")
        assert app.picked == [(name, 0), (name, 0), (name, -1), (name, 1)]


async def test_the_row_of_more_only_folds() -> None:
    async with at("more") as (app, pilot):
        await pilot.press("left", "right", "ctrl+d", "enter")
        assert (app.picked, app.told) == ([("more", 0)], [])


async def test_enter_in_a_typed_field_goes_on() -> None:
    async with at("epochs") as (app, pilot):
        await pilot.press("enter")
        assert app.form.current is not None and app.form.current.label == "lr"


async def test_a_default_comes_back() -> None:
    async with at("epochs") as (app, pilot):
        await pilot.press("7", "ctrl+d")
        assert app.told[-1] == ("epochs", None)
        assert app.form.line.text == "10" and app.form.line.selected


async def test_keys_move_between_fields() -> None:
    async with at("epochs") as (app, pilot):
        where = []
        for key in ("up", "up", "down", "ctrl+end", "down", "ctrl+home", "pagedown", "pageup"):
            await pilot.press(key)
            assert app.form.current is not None
            where.append(app.form.current.label)
    last = "3 more"
    assert where == ["model", "model", "epochs", last, last, "model", last, "model"]


async def test_an_error_stands_under_its_field_and_the_cursor_stays_on_its_own() -> None:
    async with at("lr") as (app, pilot):
        app.form.show_errors({("model", "epochs"): "must be at least 1, got 0"})
        await pilot.pause()
        lines = [app.form.render_line(y).text.strip() for y in range(6)]
        assert "✗ must be at least 1, got 0" in lines
        assert lines.index("✗ must be at least 1, got 0") == 1 + next(
            number for number, line in enumerate(lines) if line.startswith("epochs")
        )
        assert app.form.current is not None and app.form.current.label == "lr"
        await pilot.press("up")
        assert app.form.current.label == "epochs"


async def test_an_error_at_the_bottom_is_scrolled_into_sight() -> None:
    async with at("padding", size=(40, 8)) as (app, pilot):
        app.form.show_errors(
            {("model", "padding"): "is wrong in a way that takes a long line to tell you about"}
        )
        await pilot.pause()
        text = "\n".join(app.form.render_line(y).text for y in range(8))
        assert "padding" in text and "about" in text


async def test_an_edit_that_is_still_on_its_way_is_not_undone() -> None:
    """The rows that answer the first key must not wipe out the second."""
    async with at("epochs") as (app, pilot):
        app.form._edit(app.form.line.insert("1"))
        app.form._edit(app.form.line.insert("2"))
        app.form.show(app.rows())
        assert app.form.line.text == "12"
        await pilot.pause()
        assert app.form.line.text == "12" and app.chosen["epochs"] == 12


async def test_a_value_changed_from_elsewhere_is_shown_where_the_cursor_is() -> None:
    async with at("epochs") as (app, pilot):
        app.chosen["epochs"] = 99
        app.form.show(app.rows())
        await pilot.pause()
        assert app.form.line.text == "99"


async def test_a_click_goes_to_a_field_and_a_second_one_does_what_enter_does() -> None:
    async with at("lr") as (app, pilot):
        y = next(y for y in range(20) if "padding" in app.form.render_line(y).text)
        await pilot.click(Form, offset=(5, y))
        assert app.form.current is not None and app.form.current.label == "padding" and not app.picked
        await pilot.click(Form, offset=(5, y))
        assert app.picked == [("padding", 0)]


async def test_a_second_click_puts_the_cursor_into_the_text() -> None:
    async with at("epochs") as (app, pilot):
        y = next(y for y in range(20) if "epochs" in app.form.render_line(y).text)
        x = app.form.render_line(y).text.index("10")
        await pilot.click(Form, offset=(x + 1, y))
        await pilot.press("5")
        assert app.chosen["epochs"] == 150


@pytest.mark.parametrize("name", ["path", "epochs"])
async def test_hostile_values_are_shown_without_control_characters(name: str) -> None:
    async with at(name) as (app, pilot):
        app.chosen |= {"path": HOSTILE, "epochs": HOSTILE}
        app.form.show(app.rows())
        app.form.show_errors({("model", name): HOSTILE})
        await pilot.pause()
        text = "".join(app.form.render_line(y).text for y in range(20))
        assert text.isprintable()


async def test_a_required_field_without_a_value_says_so() -> None:
    async with at("epochs") as (app, _):
        assert shown(app, "path") == "required"


def _key(sign: str) -> str:
    names = {" ": "space", ",": "comma", ".": "full_stop", "[": "left_square_bracket", "-": "minus"}
    return names.get(sign, {"]": "right_square_bracket"}.get(sign, sign))
