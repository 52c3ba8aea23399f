"""Everything about a network's forward pass as plain data: the core of ``dltui inspect``."""

from __future__ import annotations

import copy
import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from dlcore import assembly
from dlcore.data.download import NotDownloaded, no_downloads
from dlcore.data.memory import free_memory
from dlcore.data.placing import Sizes, sizes_of
from dlcore.data.spec import DataContext, DataSpec
from dlcore.engine.specs import stand_in
from dlcore.errors import UserError
from dlcore.inspection.batch import compare_batches, mixing, other_batch
from dlcore.inspection.calculator.calculate import calculate
from dlcore.inspection.fixes import MOST_FIXES, Fix, source_fixes
from dlcore.inspection.option_fixes import option_fixes
from dlcore.inspection.programs import Attempt, Finish, Program
from dlcore.inspection.records import LOSS, SourceLine
from dlcore.inspection.shapes import Options, Pass
from dlcore.inspection.sources import source_lines
from dlcore.inspection.subjects import TORCHVISION, Subject, built, from_file, from_torchvision
from dlcore.inspection.through_loss import make_task, through_loss
from dlcore.preset import Preset, load
from dlcore.preset.overrides import read_value
from dlcore.registry import DATA, MODELS, TASKS, Entry
from dlcore.run_dir import data_folder
from dlcore.step_cost import beside_batch, memory_alone, memory_of_preset
from dlcore.training.memory import MemorySplit
from dlcore.training.precision import choose_device, choose_precision
from dlcore.user_code import find_file, is_user_name, one_line


def inspect(
    name: str,
    inputs: Sequence[str] = (),
    arguments: Sequence[str] = (),
    sets: Sequence[str] = (),
    *,
    training: bool = True,
    device: str = "cpu",
    operations: bool = False,
) -> dict[str, Any]:
    """What a forward pass does, up to its end or its failure.

    Args:
        name: a preset, ``file.py:Model`` or ``torchvision:resnet50``.
        inputs: of the forward pass, each as in `inspection.input_text`; a preset's come from its data.
        arguments: ``key=value`` of the constructor.
        sets: overrides of a preset.
        training, device, operations: see `inspection.shapes.Options`.

    Returns:
        Plain data: ``rows``, ``operations`` if asked for, totals of the trace, ``batch`` (see
        `inspection.batch`), ``memory`` of a training step as the preset has it, or with AdamW (null when only a
        training can tell), ``failure`` (null when a batch goes through) and ``fixes`` for it, each of them tried.

    Raises:
        UserError: there is nothing to run.
    """
    options = Options(training, device, operations)
    subject, plan = _subject(name, list(inputs), list(arguments), sets, options)
    first = subject.run(subject.batch)
    if first.result is None:
        return _not_built(subject, first) | {"fixes": _told(subject.fixes())}
    trace = first.result.trace
    second = subject.run(other_batch(subject.batch)).result
    facts: dict[str, Any] = assembly.plain(trace.to_dict())
    failure = facts["failure"]
    if failure is not None:
        failure["source"] = [_line(line) for line in trace.failure.source] if trace.failure else []
    memory = None if failure is not None else plan.memory(first.result)
    look = compare_batches(trace, second.trace if second else None, subject.batch)
    notes = [*trace.notes, *mixing(look, trace, first.result.model, guessed=subject.guessed)]
    return facts | {
        "name": subject.name,
        "batch": assembly.plain(look.to_dict()),
        "memory": None if memory is None else memory.to_dict(),
        "optimizer": plan.optimizer,
        "failure": failure,
        "fixes": _told(subject.fixes()) if failure else [],
        "notes": [asdict(note) for note in notes] + plan.notes,
    }


def calculated(text: str, input_text: str = "") -> dict[str, Any]:
    """The shape calculator's answer to a line (see `inspection.calculator`)."""
    return calculate(text, input_text).to_dict()


@dataclass(frozen=True)
class _Training:
    """What a subject would be trained with.

    Attributes:
        memory: of a step, by a pass that went well.
    """

    optimizer: str
    memory: Callable[[Pass], MemorySplit | None]
    notes: list[dict[str, Any]]


def _subject(
    name: str, inputs: list[str], arguments: list[str], sets: Sequence[str], options: Options
) -> tuple[Subject, _Training]:
    """What is to be inspected, and what it would be trained with."""
    given = dict(_argument(text) for text in arguments)
    if name.startswith(TORCHVISION) or is_user_name(name):
        if sets:
            raise UserError("--set goes with a preset; a constructor takes --arg key=value")
        make = from_torchvision if name.startswith(TORCHVISION) else from_file
        alone = _Training("adamw", lambda found: memory_alone(found.model, found.arguments), [])
        return make(name, inputs, given, options), alone
    if inputs or given:
        raise UserError(
            "--input and --arg go with a file or torchvision; a preset takes --set section.key=value"
        )
    preset = load(name, sets, builders=True)
    spec, sizes, note = _spec(preset)
    notes = [{"kind": "data", "message": note, "source": None}] if note else []

    def memory(found: Pass) -> MemorySplit | None:
        return _memory(preset, spec, sizes, found.model)

    return from_preset(preset, spec, options), _Training(preset.optimizer.name, memory, notes)


def _memory(preset: Preset, spec: DataSpec, sizes: Sizes | None, model: nn.Module) -> MemorySplit | None:
    """Of a step as a run of the preset would make it here."""
    training = preset.training
    try:
        device, _ = choose_device(training.device)
    except UserError:  # a run would say so; the shapes can be looked at all the same
        device = torch.device("cpu")
    precision, _ = choose_precision(training.precision, device)
    count, kept = training.batch, 0
    if sizes is not None:
        count, kept = min(count, sizes.samples), beside_batch(sizes, training, device, free_memory(device))
    return memory_of_preset(preset, precision, copy.deepcopy(model), spec, count, beside=kept)


def from_preset(preset: Preset, spec: DataSpec, options: Options) -> Subject:
    """The network of a preset on data that looks like this.

    Raises:
        UserError: the network takes no such data.
    """
    entry = MODELS.entry(preset.model.name, preset.base)
    assembly.require_fit(entry, spec)
    name, _ = assembly.choose_task(preset, spec)
    task = Learnt(name, TASKS.entry(name, preset.base), preset.task.options)
    of_model = Model(entry, preset.model.options, spec, preset.training.batch, preset.base, task)
    return replace(of_model.subject(options), name=preset.source)


class Learnt(NamedTuple):
    """A task by its name, with its options."""

    name: str
    entry: Entry
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Model:
    """A builder with its options, and the data that it is for.

    Attributes:
        batch: how many samples.
        base: folder where the builder's file is looked for after the working folder.
        task: whose loss the output must fit; None: only the forward pass counts.
    """

    entry: Entry
    options: Mapping[str, Any]
    spec: DataSpec
    batch: int
    base: Path | None = None
    task: Learnt | None = None

    def finish(self, batch: int, options: Options) -> Finish | None:
        """What follows a pass of so many samples into the loss."""
        if self.task is None:
            return None
        name, entry, chosen = self.task
        make = make_task(entry, chosen, self.spec)
        return lambda result: through_loss(result, name, make, self.spec, batch, options)

    def subject(self, options: Options | None = None, *, seconds: float = 5.0) -> Subject:
        """What can be traced and mended: by its source if it is the user's own, else by its options.

        Args:
            seconds: after which no further fix is looked for.
        """
        options = options or Options()
        name, spec = self.entry.name, self.spec
        if not is_user_name(name):

            def run(batch: int) -> Attempt:
                return self._built(self.options, batch, options)

            return Subject(name, self.batch, run, lambda: self._option_fixes(seconds), spec)
        file, _, attribute = name.rpartition(":")
        program = Program(
            find_file(file, self.base),
            attribute,
            lambda builder: replace(self.entry, builder=builder).build(spec, **self.options),
            spec,
            options,
            self.batch,
            self.finish(self.batch, options),
        )

        def run_file(batch: int) -> Attempt:
            resized = replace(program, batch_size=batch, finish=self.finish(batch, options))
            return resized.attempt({})

        def fixes() -> list[Fix]:
            return [*source_fixes(program, seconds=seconds), *self._option_fixes(seconds)][:MOST_FIXES]

        return Subject(name, self.batch, run_file, fixes, spec)

    def _built(self, changed: Mapping[str, Any], batch: int, options: Options) -> Attempt:
        build = partial(self.entry.build, self.spec, **changed)
        return built(build, self.spec, batch, options, self.finish(batch, options))

    def _option_fixes(self, seconds: float) -> list[Fix]:
        """Other options with which a batch goes through."""

        def works(changed: Mapping[str, Any]) -> bool:
            return not self.entry.validate(changed)[1] and self._built(changed, self.batch, Options()).works

        tried = self._built(self.options, self.batch, Options())
        failure = tried.result.trace.failure if tried.result else None
        sizes = (
            [size for info in (*failure.inputs, *failure.operands) for size in info.shape] if failure else []
        )
        if failure is not None and failure.path == LOSS:
            sizes.insert(0, self.spec.num_outputs)
        message = failure.message if failure else str(tried.error)
        right, problems = self.entry.validate(self.options)
        return option_fixes(
            works,
            {**right, **self.options},
            self.entry.fields,
            message,
            sizes=sizes,
            refused={problem.key for problem in problems},
            seconds=seconds,
        )


def _spec(preset: Preset) -> tuple[DataSpec, Sizes | None, str]:
    """What the preset's data looks like, without a download; its bytes, if it is here; what is to be known of that."""
    entry = DATA.entry(preset.data.name, preset.base)
    context = DataContext(data_folder(), preset.training.seed, lambda _: None, preset.base)
    try:
        with no_downloads():
            data = entry.build(context, **preset.data.options)
            return data.spec, sizes_of(data.train), ""
    except NotDownloaded:
        spec = stand_in(entry)
        if spec is None:
            raise
        return (
            spec,
            None,
            f"{entry.name} is not on this computer yet: these are the shapes that it usually has",
        )


def _argument(text: str) -> tuple[str, Any]:
    """``hidden=64`` as a name and a value."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key.isidentifier():
        raise UserError(f"--arg {text!r:.80}: must be key=value, such as hidden=64")
    read = read_value(value.strip())
    return key, None if read in ("none", "None") else read


def _not_built(subject: Subject, attempt: Attempt) -> dict[str, Any]:
    """The facts of a model that its constructor refuses to make."""
    error = attempt.error
    if isinstance(error, UserError) and subject.spec is None:
        raise error
    message = "; ".join(error.lines) if isinstance(error, UserError) else one_line(error or RuntimeError())
    lines = source_lines(error.__traceback__) if error and not isinstance(error, UserError) else ()
    failure = {
        "path": "",
        "type": subject.name,
        "kind": "build",
        "inputs": [],
        "operation": "",
        "operands": [],
        "message": message,
        "detail": "",
        "source": [_line(line) for line in lines],
        "marks": [],
    }
    return {"name": subject.name, "rows": [], "operations": [], "failure": failure, "notes": []}


def _line(line: SourceLine) -> dict[str, Any]:
    """A line of source with the columns of the expression in what is shown of it, from 0; -1 where unknown."""
    first, start, last, end = line.place
    raw = linecache.getline(line.file, line.line)
    indent = len(raw) - len(raw.lstrip())
    inside = first == line.line and line.code == raw.strip()
    encoded = raw.encode()
    begin = len(encoded[:start].decode(errors="ignore")) - indent if inside else -1
    stop = len(encoded[:end].decode(errors="ignore")) - indent if last == first else len(line.code)
    return asdict(line) | {"begin": begin, "end": stop if inside else -1}


def _told(fixes: Sequence[Fix]) -> list[dict[str, Any]]:
    return [fix.to_dict() for fix in fixes]
