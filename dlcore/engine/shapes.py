"""The network of a draft as it stands: every layer's shapes, its cost, and whether it fits on the device.

Nothing is allocated: the model is built and run on meta tensors. Wrong values elsewhere in the draft do not
keep the shapes from being seen; the data's place is taken by what is known of it (see `specs`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from dlcore import assembly
from dlcore.data.spec import DataSpec
from dlcore.engine.device import Place, find_place
from dlcore.engine.drafts import Draft
from dlcore.engine.specs import Known, Specs
from dlcore.errors import UserError
from dlcore.inspecting import Learnt, Model
from dlcore.inspection.breaking_off import BreakOff
from dlcore.inspection.calculator.calculate import calculate
from dlcore.inspection.meta_building import build_on_meta
from dlcore.inspection.records import Trace
from dlcore.inspection.shapes import Options, trace_builder_pass
from dlcore.inspection.sources import source_lines
from dlcore.preset import Named, Preset
from dlcore.problems import Problem
from dlcore.registry import TASKS, Entry
from dlcore.run_dir import data_folder
from dlcore.step_cost import beside_batch, memory_of_preset
from dlcore.text_safety import safe_text
from dlcore.user_code import find_file, is_user_name, one_line

MOST_ROWS = 2_000
KEPT = 32  # traces
LOOKING = 2.0  # seconds for fixes, during which no other question is answered
WAIT = 0.05  # seconds for data that is quickly read, so that a first guess is not shown for nothing


class Shapes:
    """Answers with the shape table of a draft.

    Args:
        changed: called, from any thread, when the same question would be answered better now.
        waits: whether a newer question does.
    """

    def __init__(self, changed: Callable[[], None], waits: Callable[[], bool] = lambda: False) -> None:
        self.specs = Specs(data_folder(), changed)
        self._changed, self._waits = changed, waits
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self._memory: OrderedDict[str, dict[str, int] | None] = OrderedDict()
        self._weighing = ""  # key of what is weighed when it is asked for again
        self._fixes: OrderedDict[str, list[dict[str, Any]] | None] = OrderedDict()  # None while to be found

    def answer(self, question: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """The table as plain data, and whether a better one will follow once the data has been read.

        Returns:
            ``state`` is ``ok``; ``failed`` when a batch does not go through, told by ``failure``; ``wrong``
            when there is no model to build, told by ``problems``, and by ``failure`` where its options are
            why. ``rows``, ``totals`` and ``device`` come with ``ok`` and, up to the failing layer,
            with ``failed``; ``data`` always. ``memory`` of a step, null where only a run can tell, and ``fixes``
            of a ``failure`` come when the same is asked again: they take longer to find.
        """
        draft = Draft.read(question)
        known = self._data(draft)
        answer = {"data": _data_facts(draft, known)} | self._table(draft, known)
        looking = "failure" in answer and answer["failure"] is not None and "fixes" not in answer
        weighing = answer["state"] == "ok" and "memory" not in answer
        return answer, known.state == "reading" or looking or weighing

    def _data(self, draft: Draft) -> Known:
        try:
            entry = draft.entry("data")
        except UserError as error:
            return Known(None, "wrong", error.lines[0])
        options, problems = entry.validate(draft.named("data")[1])
        if problems:
            spec = self.specs.last(entry, options, draft.base)
            return Known(spec, "wrong", f"data.{problems[0]}")
        seed = draft.setting("training", "seed")
        return self.specs.get(entry, options, seed=seed, base=draft.base, wait=WAIT)

    def _table(self, draft: Draft, known: Known) -> dict[str, Any]:
        try:
            entry = draft.entry("model")
        except UserError as error:
            return _wrong(error.lines)
        given = draft.named("model")[1]
        options, problems = entry.validate(given)
        if known.spec is None:
            return _wrong(_told(problems) or [known.message])
        batch = draft.setting("training", "batch_size")
        batch = draft.setting("training", "effective_batch") if batch == "auto" else batch
        batch = min(batch, known.samples[0]) if known.samples and known.samples[0] else batch
        task = (
            _task(draft, entry, known.spec) if known.state == "read" else None
        )  # a guess has guessed classes
        model = Model(entry, {**options, **given}, known.spec, batch, draft.base, task)
        if problems:
            return self._refused(model, known, problems)
        try:
            assembly.require_fit(entry, known.spec)
            table = self._trace(model)
        except UserError as error:
            none = {"state": "failed", "failure": _cannot_build(entry, "; ".join(error.lines), "")}
            return none | self._mended(model, known)
        except Exception as error:  # the constructor's own: shown where a failing layer would be
            line = source_lines(error.__traceback__)
            where = f"{line[-1].file}:{line[-1].line}: {line[-1].code}" if line else ""
            none = {"state": "failed", "failure": _cannot_build(entry, one_line(error), where)}
            return none | self._mended(model, known)
        mended = self._mended(model, known) if table.failure is not None else {}
        return _described(table) | self._cost(draft, model, known, table) | mended

    def _refused(self, model: Model, known: Known, problems: list[Problem]) -> dict[str, Any]:
        """Options that are wrong by themselves, and other values with which the model works."""
        answer = _wrong(_told(problems))
        if any(problem.key not in {field.name for field in model.entry.fields} for problem in problems):
            return answer  # a key that is unknown: no other value mends that
        failure = _cannot_build(model.entry, "; ".join(answer["problems"]), "")
        return answer | {"failure": failure} | self._mended(model, known)

    def _mended(self, model: Model, known: Known) -> dict[str, Any]:
        """What would mend the model, looked for when the same is asked again: the table does not wait for it."""
        if known.state == "reading":
            return {}
        key = repr((model, _stamp(model)))
        if key not in self._fixes:
            self._fixes[key] = None
            if len(self._fixes) > KEPT:
                self._fixes.popitem(last=False)
            self._changed()
            return {}
        if self._fixes[key] is None:
            found = model.subject(seconds=LOOKING).fixes()
            self._fixes[key] = [fix.to_dict() for fix in found]
        return {"fixes": self._fixes[key]}

    def _trace(self, model: Model) -> Trace:
        """The traced model and its loss; the last few are kept, so that undoing an edit costs nothing."""
        names = [model.entry.name] + ([model.task.name] if model.task is not None else [])
        own = any(map(is_user_name, names))  # its file may change
        key = repr(model)
        found = None if own else self._traces.get(key)
        if found is None:
            build = partial(model.entry.build, model.spec, **model.options)
            result = trace_builder_pass(build, model.spec, batch_size=model.batch)
            finish = None if result.trace.failure else model.finish(model.batch, Options())
            found = (finish(result) if finish else result).trace
            self._traces[key] = found
        self._traces.move_to_end(key)
        if len(self._traces) > KEPT:
            self._traces.popitem(last=False)
        return found

    def _cost(self, draft: Draft, model: Model, known: Known, table: Trace) -> dict[str, Any]:
        """What the device has, and what a step takes of it once that is known."""
        place = find_place(draft.setting("training", "device"), draft.setting("training", "precision"))
        if table.failure is not None or known.state == "reading":
            return {"device": place.facts(None)}
        found = self._weighed(_plan(draft, model), model, known, place)
        memory = found.get("memory")
        return {**found, "device": place.facts(memory["peak"] if memory else None)}

    def _weighed(self, plan: Preset, model: Model, known: Known, place: Place) -> dict[str, Any]:
        """Memory of a step, worked out when the same is asked again: the table does not wait for it.

        A newer question breaks it off; the longest takes half a second, in which a person goes on typing.
        """
        device, beside = place.device or torch.device("cpu"), 0
        if known.sizes is not None:
            beside = beside_batch(known.sizes, plan.training, device, place.free)
        key = repr((model, _stamp(model), plan, place.precision, beside))
        if key not in self._memory and key != self._weighing:
            self._weighing = key
            self._changed()
            return {}
        if key not in self._memory:
            built = build_on_meta(partial(model.entry.build, model.spec, **model.options))
            break_off = BreakOff(self._waits)
            found = memory_of_preset(
                plan, place.precision, built, model.spec, model.batch, beside=beside, within=break_off
            )
            if break_off.done:
                self._changed()
                return {}
            self._memory[key] = None if found is None else found.to_dict()
            if len(self._memory) > KEPT:
                self._memory.popitem(last=False)
        return {"memory": self._memory[key]}


def _plan(draft: Draft, model: Model) -> Preset:
    """A preset of what is right in a draft."""
    return Preset(
        data=Named(name=draft.named("data")[0]),
        model=Named(name=model.entry.name, options=dict(model.options)),
        task=Named(name=model.task.name, options=dict(model.task.options))
        if model.task
        else Named(name="auto"),
        optimizer=draft.optimizer(),
        training=draft.training(),
    ).with_origin(draft.source, draft.base)


def calculated(question: Mapping[str, Any]) -> dict[str, Any]:
    """The shape calculator's answer to ``text``, with ``input`` going in."""
    return calculate(str(question.get("text", "")), str(question.get("input") or "")).to_dict()


def _task(draft: Draft, model: Entry, spec: DataSpec) -> Learnt | None:
    """Whose loss the network must fit; None where that is not settled, which is told elsewhere."""
    given, options = draft.named("task")
    try:
        name, _ = assembly.fitting_task(given or "auto", (model, draft.entry("data")), spec, draft.base)
        entry = TASKS.entry(name, draft.base)
    except UserError:
        return None
    complete, problems = entry.validate(options)
    return None if problems else Learnt(name, entry, complete)


def _stamp(model: Model) -> int:
    """When the user's own file was changed; 0 for builders that are not."""
    if not is_user_name(model.entry.name):
        return 0
    return find_file(model.entry.name.rpartition(":")[0], model.base).stat().st_mtime_ns


def _told(problems: list[Problem]) -> list[str]:
    return [f"model.{problem}" for problem in problems]


def _wrong(problems: Any) -> dict[str, Any]:
    return {"state": "wrong", "problems": [safe_text(line, limit=500) for line in problems]}


def _cannot_build(entry: Entry, message: str, where: str) -> dict[str, Any]:
    return {
        "path": "",
        "type": entry.name,
        "kind": "build",
        "message": safe_text(message, limit=500),
        "inputs": [],
        "operation": "",
        "operands": [],
        "marks": [],
        "source": safe_text(where, limit=300),
    }


def _described(table: Trace) -> dict[str, Any]:
    failure = table.failure
    return {
        "state": "failed" if failure else "ok",
        "rows": [
            {
                "path": row.path,
                "type": row.type,
                "inputs": [tensor.shape for tensor in row.inputs],
                "outputs": [tensor.shape for tensor in row.outputs],
                "parameters": row.parameters,
                "shared": row.shared,
                "flops": row.flops,
                "receptive": row.receptive,
            }
            for row in table.rows[:MOST_ROWS]
        ],
        "more_rows": max(0, len(table.rows) - MOST_ROWS),
        "inputs": [tensor.shape for tensor in table.inputs],
        "outputs": [tensor.shape for tensor in table.outputs],
        "totals": {
            "parameters": table.parameters,
            "trainable": table.trainable_parameters,
            "parameter_bytes": table.parameter_bytes,
            "flops": table.flops,
            "batch_size": table.batch_size,
        },
        "failure": None
        if failure is None
        else {
            "path": failure.path,
            "type": failure.type,
            "kind": failure.kind,
            "message": safe_text(failure.message, limit=500),
            "inputs": [tensor.shape for tensor in failure.inputs],
            "operation": failure.operation,
            "operands": [tensor.shape for tensor in failure.operands],
            "marks": failure.marks,
            "source": ""
            if failure.line is None
            else safe_text(f"{failure.line.file}:{failure.line.line}: {failure.line.code}", limit=300),
        },
    }


def _data_facts(draft: Draft, known: Known) -> dict[str, Any]:
    spec = known.spec
    facts: dict[str, Any] = {
        "name": draft.named("data")[0],
        "state": known.state,
        "message": safe_text(known.message, limit=500),
        "samples": list(known.samples),
        "notes": [safe_text(note, limit=500) for note in known.notes[:20]],
    }
    if spec is not None:
        facts |= {"input": spec.input, "shape": list(spec.input_shape)}
        facts |= {"target": spec.target, "outputs": spec.num_outputs}
    return facts
