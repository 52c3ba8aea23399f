"""Verbs that explain a network: inspect, shape, doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.verbs.options import Json, Runs, Sets, examples

verbs = typer.Typer()


@verbs.command(
    epilog=examples(
        "dltui inspect digits-cnn",
        "dltui inspect net.py:Net --input 32x3x32x32 --arg hidden=64",
        "dltui inspect net.py:Tagger --input ids=Bx12:int64<1000 --operations",
        "dltui inspect torchvision:resnet50",
    )
)
def inspect(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="A preset, FILE.py:Model or torchvision:NAME.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="[NAME=]SHAPE[:DTYPE]",
            help="What goes in, such as Bx3x32x32 or ids=Bx12:int64<1000; may be repeated.",
        ),
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Option(
            "--arg", "-a", metavar="KEY=VALUE", help="An argument of the constructor; may be repeated."
        ),
    ] = None,
    sets: Sets = None,
    operations: Annotated[bool, typer.Option("--operations", help="A row for each torch function.")] = False,
    device: Annotated[
        str, typer.Option(metavar="cpu|cuda", help="Where it is to run: cuda finds tensors left on the CPU.")
    ] = "cpu",
    evaluation: Annotated[bool, typer.Option("--eval", help="As in evaluation, not in training.")] = False,
    json: Json = False,
) -> None:
    """Show every tensor shape of a network, or where and why it fails, without running it."""
    from tui.commands import inspect as command

    code = command.inspect(
        what,
        inputs or [],
        arguments or [],
        sets or [],
        device=device,
        evaluation=evaluation,
        operations=operations,
        as_json=json,
    )
    raise typer.Exit(code)


@verbs.command(
    epilog=examples(
        'dltui shape "Conv2d(3,32,3,padding=1) > MaxPool2d(2) > Flatten() > Linear(?,10)" --input 8x3x32x32',
        'dltui shape "a: 8x1x5; b: 3x1; a + b"',
        'dltui shape "q: 4x9x16; k: 4x9x16; q @ k.transpose(1, 2)"',
        'dltui shape "grad x**2 + 3*x + 1 at x=2"',
    )
)
def shape(
    line: Annotated[
        str, typer.Argument(metavar="LINE", help="Layers joined by >, or tensors and what is done to them.")
    ],
    input_text: Annotated[
        str,
        typer.Option(
            "--input", "-i", metavar="SHAPE", help="What goes in, such as 8x3x32x32 or 4x12:int64<1000."
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Work out shapes, and what each ? in a line must be."""
    from tui.commands import shape as command

    raise typer.Exit(command.shape(line, input_text, as_json=json))


@verbs.command(
    epilog=examples("dltui doctor", "dltui doctor digits-cnn-2 --json", "dltui doctor softmax-twice")
)
def doctor(
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|PRESET", help="A run, or a preset that has not run; else the latest run."
        ),
    ] = None,
    sets: Sets = None,
    gradcheck: Annotated[
        bool,
        typer.Option("--gradcheck", help="Also compare a preset's gradients with differences of its loss."),
    ] = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Say why a network does not learn, or what keeps it from learning better.

    Of a run it reads what was recorded; a preset it builds and tries out for a few seconds.
    """
    from tui.commands import doctor as command

    raise typer.Exit(command.doctor(subject, sets or [], runs, gradcheck=gradcheck, as_json=json))
