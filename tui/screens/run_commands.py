"""What a person can ask of the worker of a run, and ways to leave it.

A command is told as pending until the worker's own event answers it; then as done or refused, in its words.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType

from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from tui import words
from tui.messages import OpenEvaluation, OpenInspector
from tui.pending import Outcome, Pending
from tui.run_state import LIVE, ROUTINE
from tui.screens.chores import RunChores
from tui.screens.dialogs import Choice, Choose, Confirm, Prompt
from tui.widgets.asked_line import AskedLine

if TYPE_CHECKING:
    from tui.follow import RunView

LEAVES = "dltui leaves when it is done"
ANSWERS = "the worker answers at its next step"
LOST = "What it learnt since the {} is lost."


class CommandScreen(RunChores):
    """A screen of one run with an `AskedLine`.

    Args:
        path: of the run directory.

    Attributes:
        leaving: the app ends as soon as the run is over.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause", id="run.pause", tooltip="Pause the training"),
        Binding("p", "continue", "Continue", id="run.continue", tooltip="Go on with the training"),
        Binding("l", "lr", "Learning rate", id="run.lr", tooltip="Change the learning rate"),
        Binding("m", "epochs", "More epochs", id="run.epochs", tooltip="Train to another epoch"),
        Binding("e", "ask('evaluate')", "Evaluate", id="run.evaluate", tooltip="Validation figures now"),
        Binding(
            "E", "evaluation", "Evaluation", id="run.evaluation", tooltip="How good it is, and its mistakes"
        ),
        Binding("w", "ask('save')", "Save", id="run.save", tooltip="Write a checkpoint now"),
        Binding("i", "inspect", "Inspect", id="run.inspect", tooltip="Look inside the network now"),
        Binding(
            "I",
            "inspector",
            "Inspector",
            id="run.inspector",
            tooltip="Histograms, maps, tensors and gradient flow of every look",
        ),
        Binding("X", "stop", "Stop", id="run.stop", tooltip="Save a checkpoint and stop"),
        Binding("r", "resume", "Resume", id="run.resume", tooltip="Go on from the last checkpoint"),
        Binding("t", "try", "Try", id="run.try", tooltip="One change beside this run, and both compared"),
        Binding(
            "q", "leave", "Leave", id="run.leave", tooltip="Leave; the training goes on unless you say so"
        ),
    ]

    def action_inspector(self) -> None:
        """All that the looks inside the network hold, on a screen of its own."""
        self.post_message(OpenInspector(self.run.path))

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.run = RunDir(path)
        self.leaving = False
        self._pending = Pending()
        self._said: tuple[int, Outcome] | None = None  # the last answer, and the event it came with

    @property
    def run_view(self) -> RunView | None:
        """The run as it is now; None until it was read."""
        raise NotImplementedError

    @property
    def alive(self) -> bool:
        """Whether there is a worker to ask."""
        return self.run_view is not None and self.run_view.status in LIVE

    # What is asked and answered.

    def settle(self, view: RunView) -> None:
        """Takes the answers that came, and gives up waiting where nobody is left to answer."""
        settled = self._pending.settle(view.state.answers)
        if not self.alive:
            settled += self._pending.give_up()
        for outcome in settled:
            self._say(outcome)
        self.show_asked()

    def _say(self, outcome: Outcome) -> None:
        self._said = (self.run_view.state.seq if self.run_view is not None else 0, outcome)

    def show_asked(self) -> None:
        """Brings the line at the foot up to date."""
        line = self.query_one(AskedLine)
        line.said = self._asked()
        line.set_class(line.said[0] == "news", "-quiet")
        line.set_class(not line.said[1] and not self.alive, "-empty")

    def _asked(self) -> tuple[str, str]:
        """What waits for an answer, else the last answer, else what happened since."""
        if len(self._pending):
            return "pending", f"{self._pending.text} · {LEAVES if self.leaving else ANSWERS}"
        state = self.run_view.state if self.run_view is not None else None
        notices = state.notices if state is not None else ()
        news = next((notice for notice in reversed(notices) if notice.kind not in ROUTINE), None)
        if self._said is not None and (news is None or news.seq <= self._said[0]):
            return ("done" if self._said[1].ok else "refused"), self._said[1].message
        if state is not None and state.doing:
            return "news", state.doing
        return "news", news.text if news is not None and self.alive else ""

    def action_ask(self, command: str) -> None:
        """Asks for something that takes no value."""
        self._ask(command)

    def _ask(self, command: str, value: float | int | None = None) -> None:
        if self.alive:
            self._send(command, value)
        else:
            self.tell("Nothing trains here now; r goes on with it.", "warning")

    @work
    async def _send(self, command: str, value: float | int | None) -> None:
        """Appends a command in a thread: the disk may be a slow one."""
        from dlcore import control
        from dlcore.errors import UserError

        try:
            id = await asyncio.to_thread(control.send, self.run, control.Command(command, value))
        except UserError as error:
            self._say(Outcome(False, " ".join(error.lines)))
        else:
            early = self._pending.add(id, command, value)
            if early is not None:
                self._say(early)
        self.show_asked()
        self.runs_touched()

    # The commands.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What pauses a training goes on with one that is paused."""
        if action in ("pause", "continue"):
            paused = self.run_view is not None and self.run_view.status == "paused"
            return paused == (action == "continue")
        return super().check_action(action, parameters)

    def action_pause(self) -> None:
        """Waits after the step that is running."""
        self._ask("pause")

    def action_continue(self) -> None:
        """Goes on where it waits."""
        self._ask("continue")

    def action_evaluation(self) -> None:
        """Opens the screen that measures its network on the test part."""
        self.post_message(OpenEvaluation(self.run.path))

    def action_inspect(self) -> None:
        """Asks for an inspection, and shows where it appears."""
        if self.alive:
            self._ask("inspect")
        self.show_inspections()

    def show_inspections(self) -> None:
        """Goes to where inspections are shown."""

    @work
    async def action_lr(self) -> None:
        """Asks for a number and sends it."""
        now = self.run_view.state.lr if self.run_view is not None else None
        question = f"It is {words.rate(now)} now; the schedule goes on from what you type."
        await self._ask_number("lr", "Learning rate", question, words.rate(now) if now else "")

    @work
    async def action_epochs(self) -> None:
        """Asks for a number and sends it; a run that is over goes on with it."""
        if not self.alive:
            self.action_resume()
            return
        now = self.run_view.state.epochs if self.run_view is not None else None
        question = f"It trains to epoch {words.count(now)} now. Train to epoch"
        await self._ask_number("epochs", "Epochs", question, str(2 * now) if now else "")

    async def _ask_number(self, command: str, title: str, question: str, value: str) -> None:
        from dlcore import control
        from dlcore.errors import UserError

        def problem(text: str) -> str | None:
            try:
                control.parse(f"{command}={text}")
            except UserError as error:
                return " ".join(error.lines)
            return None

        if self.alive:
            prompt = Prompt(title, question=question, value=value, check=problem)
            answer: str | None = await self.app.push_screen_wait(prompt)
            if answer is None:
                return
            self._ask(command, control.parse(f"{command}={answer}").value)
        else:
            self._ask(command)

    def action_resume(self) -> None:
        """Goes on from the last checkpoint."""
        self.resume_run(self.run.summary())

    def action_try(self) -> None:
        """Trains what the preset suggests to try."""
        self.try_beside(self.run.path)

    @work
    async def action_stop(self) -> None:
        """Saves and stops, once agreed."""
        if not self.alive:
            self._ask("stop")
            return
        question = "It saves a checkpoint first; r goes on from there."
        if await self.app.push_screen_wait(Confirm("Stop training?", question, agree="stop")):
            await self._stop()

    async def _stop(self) -> None:
        if self.run_view is not None and self.run_view.status == "starting":
            from tui import run_actions

            await self._do(run_actions.stop, self.run.path)  # it does not read commands yet
        else:
            self._ask("stop")

    # Leaving.

    @work
    async def action_leave(self) -> None:
        """Leaves; asks first what becomes of a run that trains."""
        if not self.alive or self.leaving:
            self.app.exit()
            return
        name = safe_text(self.run.name, limit=60)
        choices = [
            Choice("detach", "Leave it training", "dltui attach shows it again"),
            Choice("stop", "Save and stop", "r, or dltui resume, goes on from there"),
            Choice("kill", "Kill it", "now, without saving"),
        ]
        question = f"{words.short_run_name(name)} trains in a process of its own and goes on without dltui."
        answer = await self.app.push_screen_wait(Choose("Leave", choices, question=question))
        if answer == "detach":
            self._exit_with(f"{name} trains on; dltui attach shows it again.")
        elif answer == "stop":
            self.leave_when_over(True)
            await self._stop()
        elif answer == "kill":
            await self._kill()

    def _exit_with(self, sentence: str) -> None:
        from rich.text import Text

        self.app.exit(message=Text(sentence))

    def leave_when_over(self, wanted: bool) -> None:
        """The app ends with the run, or not."""
        self.leaving = wanted

    async def _kill(self) -> None:
        """Ends the worker without saving, once agreed again."""
        saved = last_checkpoint(self.run_view)
        question = LOST.format(saved) if saved else "It has no checkpoint yet: everything is lost."
        if await self.app.push_screen_wait(Confirm("Kill the training?", question, agree="kill")):
            self.leave_when_over(True)
            if not await self._do(_kill, self.run):
                self.leave_when_over(False)


def _kill(run: RunDir) -> None:
    import signal

    from dlcore import launch

    launch.stop(run, 10.0, number=signal.SIGKILL)


def last_checkpoint(view: RunView | None) -> str:
    """``checkpoint at step 161``; "" when none was told."""
    notices = view.state.notices if view is not None else ()
    return next((notice.text for notice in reversed(notices) if notice.kind == "checkpoint"), "")
