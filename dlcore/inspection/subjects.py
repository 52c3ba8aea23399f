"""What can be inspected by its name alone: a class in a user's file, a network of torchvision's.

A subject is run with any number of samples; each run is an `Attempt`, whether or not there is a model to run.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.inspection.batch import other_batch
from dlcore.inspection.fixes import MOST_FIXES, Fix, source_fixes
from dlcore.inspection.input_text import Given, parse_inputs
from dlcore.inspection.meta_building import build_on_meta
from dlcore.inspection.option_fixes import option_fixes
from dlcore.inspection.programs import Attempt, Finish, Program
from dlcore.inspection.shapes import Inputs, Options, trace_builder_pass
from dlcore.inspection.sources import Construction
from dlcore.problems import nearest, show, unknown
from dlcore.registry.schema import Field
from dlcore.torchvision_compat import import_torchvision
from dlcore.user_code import find_file, load_user_builder

TORCHVISION = "torchvision:"
FRAMES = 16  # of a video clip


@dataclass(frozen=True)
class Subject:
    """Something to inspect.

    Attributes:
        name: as given.
        batch: how many samples.
        run: the forward pass with so many.
        fixes: what would mend it, after a run that failed.
        spec: what the data is, where there is data.
        guessed: an input that says where the batch is, for one that left it to be guessed.
    """

    name: str
    batch: int
    run: Callable[[int], Attempt]
    fixes: Callable[[], list[Fix]] = list
    spec: DataSpec | None = None
    guessed: str = ""


def built(
    build: Callable[[], nn.Module], inputs: Inputs, batch: int, options: Options, finish: Finish | None = None
) -> Attempt:
    """A model without a source that could be changed."""
    try:
        result = trace_builder_pass(build, inputs, batch_size=batch, options=options)
        return Attempt(result if finish is None or result.trace.failure else finish(result), Construction())
    except Exception as error:
        return Attempt(None, Construction(), error)


def from_file(name: str, inputs: list[str], arguments: Mapping[str, Any], options: Options) -> Subject:
    """``net.py:Net``: the class is called with the arguments given, a module is taken as it is.

    Raises:
        UserError: there is no such file or class, or it wants other arguments.
    """
    value = load_user_builder(name)
    if not inputs:
        raise UserError(
            f"--input is missing: what a batch looks like, such as --input {_example(value, arguments)}"
        )
    given = parse_inputs(inputs)
    wants_spec = next(iter(_parameters(value)), "") == "spec"
    if not isinstance(value, nn.Module):
        _check_arguments(name, value, arguments, wants_spec)
    file, _, attribute = name.rpartition(":")
    spec = spec_of(given) if wants_spec else None

    def rebuilt(changed: Mapping[str, Any]) -> Program:
        return Program(
            find_file(file, None),
            attribute,
            lambda kind: _constructed(kind, changed, spec),
            given.call,
            replace(options, bounds=given.bounds),
        )

    program = rebuilt(arguments)
    more = given.resized(other_batch(given.batch))
    program = replace(
        program, other=replace(program, inputs=more.call, options=replace(options, bounds=more.bounds))
    )

    def run(batch: int) -> Attempt:
        resized = given.resized(batch)
        bounds = replace(options, bounds=resized.bounds)
        return replace(program, inputs=resized.call, options=bounds).attempt({})

    def fixes() -> list[Fix]:
        return [*argument_fixes(value, arguments, rebuilt, run(given.batch)), *source_fixes(program)][
            :MOST_FIXES
        ]

    return Subject(name, given.batch, run, fixes, guessed=_second_as_batch(given))


def _second_as_batch(given: Given) -> str:
    """How to say that the batch is the second size of the first input, as time-major code has it."""
    if given.lettered or given.first is None or given.first.dim() < 2:
        return ""
    sizes = re.sub(r"^((?:\w+=)?\d+[x×])\d+", r"\1B", given.texts[0])
    return f"--input {sizes}"


def argument_fixes(
    value: Any, arguments: Mapping[str, Any], rebuilt: Callable[[Mapping[str, Any]], Program], failed: Attempt
) -> list[Fix]:
    """Other values of the arguments that were given, with which a batch goes through.

    Args:
        rebuilt: the program with other arguments.
    """
    failure = failed.result.trace.failure if failed.result else None
    sizes = [size for info in (*failure.inputs, *failure.operands) for size in info.shape] if failure else []
    operation = failed.result.operation if failed.result else None
    sizes += [bounds[1] + 1 for bounds in (operation.bounds if operation else ()) if bounds]
    fields = [Field(name, "", None, False) for name in arguments]
    return option_fixes(
        lambda changed: rebuilt(changed).attempt({}).works,
        arguments,
        fields,
        failure.message if failure else str(failed.error),
        sizes=sizes,
        section="arg",
    )


def from_torchvision(name: str, inputs: list[str], arguments: Mapping[str, Any], options: Options) -> Subject:
    """``torchvision:resnet50``, with images of the size that its weights were trained on.

    Raises:
        UserError: there is no such network, or no input is known for it.
    """
    models = import_torchvision().models
    architecture = name.removeprefix(TORCHVISION)
    if architecture not in models.list_models():
        raise UserError(f"{show(name)}: {unknown('network', architecture, models.list_models())[:300]}")
    given = parse_inputs(inputs or [usual_input(architecture)])

    _check_torchvision_arguments(architecture, models.get_model_builder(architecture), arguments)

    def build() -> nn.Module:
        extra = {"init_weights": False} if architecture in ("googlenet", "inception_v3") else {}
        if not architecture.startswith("quantized"):
            extra["weights"] = None  # type: ignore[assignment]
        with contextlib.suppress(AttributeError):  # no weights of its backbone are fetched either
            if "weights_backbone" in inspect.signature(models.get_model_builder(architecture)).parameters:
                extra["weights_backbone"] = None  # type: ignore[assignment]
        model: nn.Module = models.get_model(architecture, **{**extra, **arguments})
        return model

    def run(batch: int) -> Attempt:
        resized = given.resized(batch)
        return built(build, resized.call, batch, replace(options, bounds=resized.bounds))

    return Subject(name, given.batch, run)


def _check_torchvision_arguments(name: str, builder: Any, arguments: Mapping[str, Any]) -> None:
    """Arguments go through the builder to the network's class, whose names are known by the class only.

    Raises:
        UserError: neither has an argument of that name.
    """
    module = inspect.getmodule(builder)
    kinds = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, nn.Module)]
    own = [each for each in kinds if each.__module__ == getattr(module, "__name__", "")]
    known = {key for each in (builder, *own) for key in _parameters(each)} - {"kwargs", "args", "self"}
    strange = [key for key in arguments if key not in known]
    if strange:
        likely = [key for key in _parameters(builder) if key != "kwargs"]
        close = nearest(strange[0], sorted(known)) or next((k for k in ("num_classes",) if k in known), "")
        hint = f"; did you mean '{close}'?" if close else f" (it takes {', '.join(likely)})"
        raise UserError(f"--arg {strange[0]}: {name} has no such argument{hint}")


def usual_input(architecture: str) -> str:
    """The input that a torchvision network's published weights expect, as text.

    Raises:
        UserError: it takes no batch of images or clips.
    """
    models = import_torchvision().models
    kind = models.get_model_builder(architecture).__module__.split(".")[2]
    if kind in ("detection", "optical_flow"):
        raise UserError(f"{architecture} takes no batch of images: say with --input what it takes")
    preset = models.get_model_weights(architecture).DEFAULT.transforms()
    if architecture.startswith("vit_"):  # built for this size, whatever its best weights were trained on
        return "Bx3x224x224"
    side = getattr(preset, "crop_size", None) or getattr(preset, "resize_size", None) or [224]
    height, width = (list(side) * 2)[:2]
    frames = f"{FRAMES}x" if kind == "video" else ""
    return f"Bx3x{frames}{height}x{width}"


def spec_of(given: Given) -> DataSpec:
    """What the data would be that such an input comes from, for builders that ask for it.

    Raises:
        UserError: it is no single batch of vectors, images, sequences or ids.
    """
    first = given.first
    if first is None or len(given.args) != 1 or given.kwargs or not 2 <= first.dim() <= 4:
        raise UserError("a builder that takes a spec needs one --input, such as Bx3x32x32 or Bx64:int64<1000")
    shape, dtype = tuple(first.shape[1:]), str(first.dtype).removeprefix("torch.")
    kinds = {1: "vector", 2: "sequence", 3: "image"}
    limit = given.bounds[0][1] + 1 if given.bounds and given.bounds[0] else 1000
    tokens = len(shape) == 1 and not first.is_floating_point()
    return DataSpec(
        "tokens" if tokens else kinds[len(shape)],  # type: ignore[arg-type]
        shape,
        "class",
        10,
        dtype,
        vocabulary=tuple(map(str, range(limit))) if tokens else (),
    )


def _constructed(kind: Any, arguments: Mapping[str, Any], spec: DataSpec | None) -> nn.Module:
    if isinstance(kind, nn.Module):
        return kind
    model = kind(*([] if spec is None else [spec]), **arguments)
    if not isinstance(model, nn.Module):
        raise TypeError(f"{show(getattr(kind, '__name__', 'it'))} gives {show(model)}, not an nn.Module")
    return model


def _parameters(value: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(value).parameters)
    except (TypeError, ValueError):
        return {}


def _check_arguments(name: str, value: Any, arguments: Mapping[str, Any], wants_spec: bool) -> None:
    """That the constructor takes what is given, and lacks nothing."""
    parameters = _parameters(value)
    kinds = inspect.Parameter
    named = [
        key
        for key, each in parameters.items()
        if each.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
    ]
    lines = []
    if parameters and not any(each.kind is kinds.VAR_KEYWORD for each in parameters.values()):
        strange = [key for key in arguments if key not in named]
        lines += [f"--arg {key}: {unknown('argument', key, named)}" for key in strange]
    missing = [
        key
        for key in named[int(wants_spec) :]
        if parameters[key].default is kinds.empty and key not in arguments
    ]
    if missing:
        each = " ".join(f"--arg {key}=…" for key in missing)
        lines.append(f"{show(name)} cannot be built without {' and '.join(missing)}: give {each}")
    if lines:
        raise UserError(lines)


def _example(value: Any, arguments: Mapping[str, Any]) -> str:
    """An input that the first layer would take."""
    try:
        model = value if isinstance(value, nn.Module) else build_on_meta(lambda: value(**arguments))
    except Exception:  # the user's own: what is wrong with it is told when there is an input
        return "32x3x64x64"
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            return f"32x{layer.in_channels}x64x64"
        if isinstance(layer, nn.Conv1d):
            return f"32x{layer.in_channels}x100"
        if isinstance(layer, nn.Embedding):
            return f"32x20:int64<{layer.num_embeddings}"
        if isinstance(layer, nn.RNNBase):
            return f"32x20x{layer.input_size}"
        if isinstance(layer, nn.Linear):
            return f"32x{layer.in_features}"
    return "32x3x64x64"
