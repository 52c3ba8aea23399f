"""How edits in the form and choices in the tree reach the draft. A mixin for the New-run screen."""

from __future__ import annotations

from textual import on, work

from tui import field_text
from tui.catalogue import OWN, Catalogue
from tui.form_rows import MORE, NAME, Row, choices, default_of, name_of
from tui.screens.dialogs import Prompt
from tui.screens.draft_chores import DraftChores
from tui.widgets.form import Form
from tui.widgets.tree import OWN_FILE, ArchitectureTree


class DraftEditing(DraftChores):
    """Turns what the widgets say into changes of `draft`, then calls `draft_edited`.

    Attributes:
        catalogue: None until the engine has told it.
        everything: the form also shows what hardly anybody changes.
    """

    catalogue: Catalogue | None = None
    everything = False

    def draft_edited(self) -> None:
        """The draft holds other values now."""

    def show_draft(self) -> None:
        """The draft is the same and is to be shown otherwise."""

    def go_to_architectures(self) -> None:
        """The model is to be picked in the tree."""

    @on(Form.Edited)
    def _edited(self, event: Form.Edited) -> None:
        event.form.heard()
        self.change(event.row, event.text)

    def change(self, row: Row, text: str | None) -> None:
        """Sets a field to what a text stands for; None to its default."""
        if self.catalogue is None or self.draft is None:
            return
        section, key = row.place
        default = default_of(self.catalogue, self.draft, row.place)
        if row.kind == "builder":
            if text is not None or default is not None:
                self.choose(section, text or str(default))
            return
        value = default if text is None else field_text.parse(row.option, text)
        self.draft.set(section, key, value, default)
        self.draft_edited()

    @on(Form.Picking)
    def _pick(self, event: Form.Picking) -> None:
        if event.row.place == MORE:
            self.everything = not self.everything
            self.show_draft()
        elif event.step:
            self._step(event.row, event.step)
        elif event.row.place == ("model", NAME):
            self.go_to_architectures()
        else:
            self._pick_from_list(event.row)

    def _step(self, row: Row, by: int) -> None:
        """The next choice that goes with the rest."""
        assert self.catalogue is not None and self.draft is not None
        names = [each.name for each, against in choices(self.catalogue, self.draft, row) if not against]
        if names:
            at = names.index(row.text) if row.text in names else -1 if by > 0 else 0
            self.change(row, names[(at + by) % len(names)])

    @work(exclusive=True, group="dialog")
    async def _pick_from_list(self, row: Row) -> None:
        from tui.screens.picker import Item, Picker

        assert self.catalogue is not None and self.draft is not None
        items = [
            Item(each.name, each.summary, each.group, against)
            for each, against in choices(self.catalogue, self.draft, row)
        ]
        if row.kind == "builder":
            items.append(Item(OWN_FILE.name, f"Your own {row.place[0]}, in a file of yours.", OWN))
        picked = await self.app.push_screen_wait(Picker(row.label, items, row.text))
        if picked == OWN_FILE.name:
            picked = await self._ask_for_own(row.place[0])
        if picked:
            self.change(row, picked)

    async def _ask_for_own(self, section: str) -> str | None:
        question = f"Your own {section}: the file, a colon, and the class or function in it"
        return await self.app.push_screen_wait(
            Prompt(f"Own {section}", question=question, placeholder="net.py:Net", check=_no_own_name)
        )

    @on(ArchitectureTree.Chosen)
    @work(exclusive=True, group="dialog")
    async def _architecture_chosen(self, event: ArchitectureTree.Chosen) -> None:
        name: str | None = event.builder.name
        if event.builder is OWN_FILE:
            name = await self._ask_for_own("model")
        if name and self.catalogue is not None and self.draft is not None:
            self.choose("model", name)

    def choose(self, section: str, name: str) -> None:
        """Names another builder; a model brings data along that it can take."""
        assert self.catalogue is not None and self.draft is not None
        self.draft.choose(section, name, self.catalogue.names.get(section, ""))
        data = name_of(self.catalogue, self.draft, "data")
        against = self.catalogue.why_not("model", name, data) if section == "model" else ""
        other = self.catalogue.data_for(name) if against else ""
        if other:
            self.draft.choose("data", other)
            self.tell(f"The data is {other} now: {against.partition(', this')[0]}.")
        self.draft_edited()


def _no_own_name(text: str) -> str | None:
    """Why a text names nothing in a file."""
    file, colon, name = text.strip().rpartition(":")
    good = colon and file.endswith(".py") and name.replace(".", "_").isidentifier()
    return None if good else "Write it as file.py:Name."
