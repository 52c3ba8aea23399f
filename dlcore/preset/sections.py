"""The sections of a preset, their keys, limits and defaults.

Each class is one TOML section; its annotations are the check and its ``Attributes:`` the help. Sections that
name a builder hold the builder's options unread: only the builder's signature knows them.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr

from dlcore.fields import Count, CountOrZero, Fraction, NonNegative, Positive
from dlcore.registry import schema
from dlcore.registry.signatures import argument_help, own_doc


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]{1,3})?", value):
        raise ValueError("must be one of auto, cpu, cuda, cuda:N, mps")
    return value


Device = Annotated[str, AfterValidator(_device)]
Auto = Literal["auto"]
"""Measured when the training starts; what came out is in the run's first event, and a resumed run keeps it."""


class Section(BaseModel):
    """What all sections share: unknown keys are errors, values do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Suggestion(Section):
    """One thing to change and compare.

    Attributes:
        say: what to try and what to look for.
        set: overrides that make the change, as given to ``--set``.
    """

    say: str
    set: tuple[str, ...] = ()


class About(Section):
    """What the preset is for.

    Attributes:
        title: as listed.
        summary: one sentence.
        chapter: of the learning path; 0 is not on it.
        lesson: place in the chapter, from 1; 0 is behind all that have one.
        needs: what has to be got because no part of the program and no download brings it, and from where.
        teaches: what there is to learn from it.
        try_: changes to make and compare; ``try`` in TOML.
    """

    title: str = ""
    summary: str = ""
    chapter: CountOrZero = 0
    lesson: CountOrZero = 0
    needs: str = ""
    teaches: str = ""
    try_: tuple[Suggestion, ...] = Field(default=(), alias="try")


class Named(Section):
    """A builder by name and the options given to it; flat in TOML.

    Attributes:
        name: of a registered builder, or the user's own ``file.py:Name``.
        options: everything else in the section; all of the builder's once the preset is loaded with builders.
    """

    name: Annotated[str, Field(min_length=1)]
    options: dict[str, Any] = {}


class Training(Section):
    """How long, how much at once, on what.

    Attributes:
        epochs: passes over the training part.
        max_steps: stop after this many steps; 0 is no limit.
        batch_size: samples at once; auto takes the most that fit in memory, in parts of effective_batch.
        effective_batch: samples a step learns from where batch_size is auto.
        eval_batch_size: samples at once when evaluating; 0 chooses.
        accumulate: batches whose gradients are added up before a step.
        shuffle: new order each epoch, from the seed.
        drop_last: leave out the last batch when it is smaller.
        seed: of weights, order, dropout and augmentation.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: number format of the forward pass; auto takes bf16 where it is fast.
        clip_norm: longest gradient; 0 does not clip.
        clip_value: largest entry of a gradient; 0 does not clip.
        ema: decay of the averaged weights, such as 0.999; 0 keeps none.
        patience: epochs without a better result before stopping; 0 never stops early.
        min_delta: least change that counts as better.
        monitor: metric that decides what is better, such as val/loss; empty for the task's own.
        monitor_mode: whether less or more of it is better; auto asks the task.
        compile: torch.compile the model, or one of torch's modes for it; slow to start.
        graph: record a training step once and replay it; auto does so on a CUDA GPU wherever it can be done.
        gradient_checkpointing: compute activations twice and keep fewer.
        workers: processes that load data; 0 loads in the training process, auto measures how many pay.
        threads: of the processor; 0 takes one for small steps and else what torch takes, auto measures.
        parallel: what several processes share: ddp the work, fsdp the weights, too.
        deterministic: only operations that give the same result each time; slower.
        cudnn_benchmark: let cuDNN time its convolutions and take the fastest.
        channels_last: memory order of images that suits tensor cores; auto measures whether it pays.
        fused: change all weights in one kernel where the optimizer has one.
        data_on_device: keep data in a GPU's memory where it fits.
        detect_anomaly: find the operation behind a non-finite gradient; very slow.
        non_finite: stop at a non-finite loss or gradient, or skip that step.
        record_seconds: time between records of the training metrics.
        evaluate_every: epochs between evaluations.
    """

    epochs: Count = 10
    max_steps: CountOrZero = 0
    batch_size: Count | Auto = 64
    effective_batch: Count = 256
    eval_batch_size: CountOrZero = 0
    accumulate: Count = 1
    shuffle: bool = True
    drop_last: bool = False
    seed: CountOrZero = 0
    device: Device = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    clip_norm: NonNegative = 0.0
    clip_value: NonNegative = 0.0
    ema: Fraction = 0.0
    patience: CountOrZero = 0
    min_delta: NonNegative = 0.0
    monitor: str = ""
    monitor_mode: Literal["auto", "min", "max"] = "auto"
    compile: bool | Literal["default", "reduce-overhead", "max-autotune"] = False
    graph: bool | Auto = "auto"
    gradient_checkpointing: bool = False
    workers: CountOrZero | Auto = 0
    threads: CountOrZero | Auto = 0
    parallel: Literal["ddp", "fsdp"] = "ddp"
    deterministic: bool = False
    cudnn_benchmark: bool = True
    channels_last: bool | Auto = False
    fused: bool = True
    data_on_device: bool = True
    detect_anomaly: bool = False
    non_finite: Literal["stop", "skip"] = "stop"
    record_seconds: Positive = 0.5
    evaluate_every: Count = 1

    @property
    def batch(self) -> int:
        """Samples at once; where that is still to be found, those that a step learns from."""
        return self.effective_batch if self.batch_size == "auto" else self.batch_size

    @property
    def loaders(self) -> int:
        """Loading processes; none while that is still to be found."""
        return 0 if self.workers == "auto" else self.workers


class Checkpoint(Section):
    """When the whole state is saved.

    Attributes:
        every_epochs: epochs between saves.
        every_seconds: also save after this much time; 0 does not.
        keep: how many to keep, besides the best.
    """

    every_epochs: Count = 1
    every_seconds: NonNegative = 0.0
    keep: Annotated[int, Field(ge=2, le=2**31)] = 2


class Inspection(Section):
    """When the inside of the network is recorded.

    Attributes:
        every_epochs: epochs between looks, whatever they cost; 0 leaves it to share.
        share: of the time, for looks at the best step and in between; 0 takes none, not even the first and last.
        samples: images or rows kept as samples.
    """

    every_epochs: CountOrZero = 0
    share: Fraction = 0.01
    samples: Count = 8


class Preset(Section):
    """Everything a run needs to be told. Two presets are equal when they would train the same.

    Attributes:
        source: name or path, as shown to the user.
        base: folder that relative paths are taken from after the working folder; None without a file.
    """

    about: About = About()
    data: Named
    model: Named
    task: Named = Named(name="auto")
    optimizer: Named = Named(name="adamw")
    scheduler: Named = Named(name="constant")
    training: Training = Training()
    checkpoint: Checkpoint = Checkpoint()
    inspection: Inspection = Inspection()
    _source: str = PrivateAttr("")
    _base: Path | None = PrivateAttr(None)

    @property
    def source(self) -> str:  # noqa: D102
        return self._source

    @property
    def base(self) -> Path | None:  # noqa: D102
        return self._base

    def with_training(self, **changes: Any) -> Preset:
        """A copy with another training section, from the same file."""
        training = self.training.model_copy(update=changes)
        return self.model_copy(update={"training": training}).with_origin(self._source, self._base)

    def with_origin(self, source: str, base: Path | None) -> Preset:
        """A copy that says where it is from."""
        copy = self.model_copy()
        copy._source, copy._base = source, base
        return copy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Preset) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]


NAMED = ("data", "model", "task", "optimizer", "scheduler")
FIXED: dict[str, type[Section]] = {
    "about": About,
    "training": Training,
    "checkpoint": Checkpoint,
    "inspection": Inspection,
}
SECTIONS = tuple(Preset.model_fields)

OF_A_STEP = (
    "batch_size", "effective_batch", "accumulate", "seed", "device", "precision", "clip_norm", "clip_value", "ema",
    "gradient_checkpointing", "workers", "fused", "data_on_device", "non_finite",
)  # fmt: skip
"""Keys of the training section that shapes and memory of a step depend on."""


def section_fields(section: str) -> tuple[schema.Field, ...]:
    """Keys of a section that names no builder, as a form shows them."""
    return _fields_of(FIXED[section])


def allowed_keys(place: tuple[str | int, ...]) -> list[str]:
    """Keys that the table at a place may hold, for a place outside builders' options."""
    names = tuple(part for part in place if isinstance(part, str))
    if not names:
        return list(SECTIONS)
    owner = Suggestion if names == ("about", "try") else FIXED[names[0]]
    return [field.name for field in _fields_of(owner)]


@functools.cache
def _fields_of(section: type[Section]) -> tuple[schema.Field, ...]:
    helps = argument_help(own_doc(section))
    json_schema = section.model_json_schema()
    definitions = {"$defs": json_schema.get("$defs", {})}
    fields = []
    for name, info in section.model_fields.items():
        key = info.alias or name
        default = None if info.is_required() else info.default
        plain = list(default) if isinstance(default, tuple) else default
        told = json_schema["properties"][key] | definitions
        fields.append(schema.make_field(key, told, plain, info.is_required(), helps.get(name, "")))
    return tuple(fields)
