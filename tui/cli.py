"""The `dltui` command: what can be typed, and how its end reaches the shell.

Every verb is one call into `tui.commands`, imported only when the verb runs, so that `--help` costs no
more than typer. Exit codes: 0 done, 1 the training failed, 2 bad input, 3 the run is held by another
process, 130 and 143 interrupted and saved.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

NOT_PRINTED = 2  # a disk that is full where standard output leads
BROKEN_PIPE = 141  # as a shell reports a program that SIGPIPE ended

app = typer.Typer(
    help="Train neural networks in the terminal, watch them live, and never lose a run.",
    epilog="Example:  dltui run digits-cnn",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Runs = Annotated[
    Path | None,
    typer.Option("--runs", metavar="DIR", help="Folder of the runs; else $DLTUI_RUNS, else ./runs."),
]
Run = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="A name, the unique start of one, or a path; else the latest."),
]
Preset = Annotated[
    str, typer.Argument(metavar="PRESET", help="The name of a shipped preset, or a TOML file.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="SECTION.KEY=VALUE", help="Override one key; may be repeated."),
]
Detach = Annotated[
    bool,
    typer.Option("--detach", "-d", help="Train in the background, print the run's name, return at once."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the last line only.")]
EndJson = Annotated[bool, typer.Option("--json", help="Print one JSON object at the end, nothing else.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Which = Annotated[
    str, typer.Option("--checkpoint", "-c", metavar="best|last|STEP", help="Which weights to use.")
]


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    runs: Runs = None,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Alone it opens the app."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"dltui {installed('dltui')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        from tui.commands import screen

        raise typer.Exit(screen.open_app(runs))
    if runs is not None:
        os.environ["DLTUI_RUNS"] = str(runs)  # the verb's own --runs still goes first


@app.command(epilog=_examples("dltui attach", "dltui attach digits-cnn-2"))
def attach(run: Run = None, runs: Runs = None) -> None:
    """Open the app on a run, also one that another terminal started."""
    from tui.commands import screen

    raise typer.Exit(screen.attach(run, runs))


@app.command(epilog=_examples("dltui reset"))
def reset() -> None:
    """Mend a terminal that a killed app left broken."""
    from tui.commands import screen

    screen.reset()


@app.command(
    epilog=_examples("dltui run digits-cnn", "dltui run my.toml --set training.epochs=40 --name long")
)
def run(
    preset: Preset,
    sets: Sets = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the run; else date and preset.")
    ] = None,
    runs: Runs = None,
    detach: Detach = False,
    quiet: Quiet = False,
    json: EndJson = False,
) -> None:
    """Train a preset and show the progress.

    ctrl+c saves a checkpoint and stops; dltui resume goes on from there. Closing the terminal does not
    stop it.
    """
    from tui.commands import train

    raise typer.Exit(train.run(preset, sets or [], name, runs, train.Output(detach, quiet, json)))


@app.command(epilog=_examples("dltui check digits-cnn", "dltui check my.toml --set model.hidden=256"))
def check(preset: Preset, sets: Sets = None, json: Json = False) -> None:
    """Check a preset without training: shapes, parameters, memory."""
    from tui.commands import check as command

    raise typer.Exit(command.check(preset, sets or [], as_json=json))


@app.command(
    epilog=_examples(
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


@app.command(
    epilog=_examples(
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


@app.command(
    epilog=_examples("dltui doctor", "dltui doctor digits-cnn-2 --json", "dltui doctor softmax-twice")
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


@app.command(epilog=_examples("dltui resume", "dltui resume digits-cnn-2 --set training.epochs=40"))
def resume(
    run: Run = None,
    sets: Sets = None,
    runs: Runs = None,
    detach: Detach = False,
    quiet: Quiet = False,
    json: EndJson = False,
) -> None:
    """Go on with a run from its last checkpoint.

    It ends with the same weights as if it had never stopped. --set may change how long and how it trains
    (such as training.epochs), not what is trained.
    """
    from tui.commands import train

    raise typer.Exit(train.resume(run, sets or [], runs, train.Output(detach, quiet, json)))


@app.command(epilog=_examples("dltui ls", "dltui ls --json | jq -r '.[].name'"))
def ls(runs: Runs = None, json: Json = False) -> None:
    """List the runs, newest first."""
    from tui.commands import listing

    listing.ls(runs, as_json=json)


@app.command(
    epilog=_examples("dltui show", "dltui show digits-cnn-2 --follow", "dltui show --json | jq .best")
)
def show(
    run: Run = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Watch it live until it ends.")] = False,
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Show a run: where it stands, its metrics and its curves."""
    from tui.commands import show as command

    command.show(run, runs, follow=follow, as_json=json)


@app.command(
    epilog=_examples("dltui tell pause", "dltui tell digits-cnn-2 lr=1e-4", "dltui tell 20261120 epochs=40")
)
def tell(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] COMMAND",
            help="COMMAND is pause, continue, stop, save, evaluate, inspect, lr=1e-4 or epochs=40.",
        ),
    ],
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for the answer.")
    ] = 10.0,
    runs: Runs = None,
) -> None:
    """Tell a running training something, and print what it answers."""
    from tui.commands import tell as command

    raise typer.Exit(command.tell(words, runs, wait=wait))


@app.command(
    epilog=_examples(
        "dltui evaluate", "dltui evaluate digits-cnn-2 --split val", "dltui evaluate --data other.csv"
    )
)
def evaluate(
    run: Run = None,
    split: Annotated[
        str,
        typer.Option(metavar="test|val|train", help="Part of the run's data; else test, if there is one."),
    ] = "",
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Other data with true answers: a CSV, or a folder of images."),
    ] = None,
    checkpoint: Which = "best",
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Measure a run's network: metrics, each class, what it takes for what, its worst mistakes."""
    from tui.commands import evaluate as command

    command.evaluate(run, runs, split=split, data=data, checkpoint=checkpoint, as_json=json)


@app.command(
    epilog=_examples(
        "dltui predict digits-cnn-2 scan.png photos/",
        "dltui predict titanic-mlp people.csv --csv > answers.csv",
        'dltui predict shakespeare-gpt "ROMEO:" --max-tokens 300',
        "dltui predict digits-gan --count 16",
    )
)
def predict(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A name, the unique start of one, or a path.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT", help="Images and folders, CSV files, texts, prompts; - reads stdin."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many classes to show.")] = 5,
    checkpoint: Which = "best",
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens to write after a prompt.")] = 200,
    temperature: Annotated[float, typer.Option(min=0, help="Of writing; 0 takes the likeliest token.")] = 0.8,
    top_k: Annotated[int, typer.Option(min=0, help="Write with the k likeliest tokens; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn or written.")] = 0,
    count: Annotated[int, typer.Option(min=0, max=10_000, help="Draw so many new pictures.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for pictures: drawn ones, or masks.")
    ] = None,
    runs: Runs = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Ask a run's network about new inputs, preprocessed as in the training.

    A bad input is named on stderr with the reason, the others are answered, and the exit code is 1.
    """
    from tui.commands import predict as command

    form = command.Form(top, json, csv)
    writing = command.Writing(max_tokens, temperature, top_k, seed)
    raise typer.Exit(
        command.predict(
            run, inputs or [], runs, form, checkpoint=checkpoint, writing=writing, count=count, out=out
        )
    )


@app.command(
    epilog=_examples(
        "dltui export digits-cnn-2 --to onnx --dynamic batch",
        "dltui export digits-cnn-2 --to pt2 --out model.pt2",
    )
)
def export(
    run: Run = None,
    to: Annotated[
        str, typer.Option(metavar="FORMAT", help="safetensors, state-dict, onnx, pt2 or torchscript.")
    ] = "safetensors",
    dynamic: Annotated[
        str, typer.Option(metavar="batch", help="Take batches of any size, not one sample at a time.")
    ] = "",
    int8: Annotated[bool, typer.Option("--int8", help="Eight-bit weights: smaller, nearly as good.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; else named like the run.")
    ] = None,
    checkpoint: Which = "best",
    runs: Runs = None,
    json: Json = False,
) -> None:
    """Write a run's network to a file for use elsewhere, with a model card.

    The file is loaded in a fresh process and compared with the network on real samples; if they differ, it is not
    kept and the exit code is 1.
    """
    from tui.commands import export as command

    raise typer.Exit(
        command.export(
            run, to, runs, checkpoint=checkpoint, dynamic=dynamic, int8=int8, out=out, as_json=json
        )
    )


@app.command(epilog=_examples("dltui new net.py", "dltui new mine.toml --from digits-cnn"))
def new(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .py file for code of your own, or a .toml preset.")
    ],
    source: Annotated[
        str | None, typer.Option("--from", metavar="PRESET", help="The preset to start from (for .toml).")
    ] = None,
    kind: Annotated[
        str, typer.Option(metavar="model|data|task", help="What the .py file holds; else all three.")
    ] = "",
) -> None:
    """Write a short, commented starting point: a network, data or task of your own, or a preset."""
    from tui.commands import new as command

    command.new(path, source, kind)


@app.command(
    epilog=_examples("dltui report digits-cnn-2", "dltui report digits-cnn digits-mlp --out compare.html")
)
def report(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="One run, or several to compare; else the latest."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; else named like the run.")
    ] = None,
    evaluated: Annotated[
        bool, typer.Option("--evaluate/--no-evaluate", help="Measure the networks on their test parts, too.")
    ] = True,
    runs: Runs = None,
) -> None:
    """Write one HTML page with curves, figures, samples and preset; it needs no network to be read."""
    from tui.commands import report as command

    command.report(names or [], runs, out=out, evaluated=evaluated)


@app.command(epilog=_examples("dltui serve digits-cnn-2", "dltui serve titanic-mlp --port 8100"))
def serve(
    run: Run = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    anywhere: Annotated[
        bool, typer.Option("--anywhere", help="Allow an address that other machines reach; asks for a token.")
    ] = False,
    checkpoint: Which = "best",
    runs: Runs = None,
) -> None:
    """Answer JSON requests with a run's network, on this machine only unless told.

    The token of an open service is printed, or taken from $DLTUI_TOKEN.
    """
    from tui.commands import serve as command

    command.serve(run, runs, host=host, port=port, anywhere=anywhere, checkpoint=checkpoint)


@app.command(epilog=_examples("dltui rm digits-cnn-2", "dltui rm --yes 20261119"))
def rm(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Names, unique starts of names, or paths.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    runs: Runs = None,
) -> None:
    """Delete runs with everything they hold. A run that is training is left alone."""
    from tui.commands import listing

    raise typer.Exit(listing.rm(names, runs, yes=yes))


@app.command(epilog=_examples("dltui presets", "dltui presets digits-cnn"))
def presets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show what this one teaches.")] = None,
    json: Json = False,
) -> None:
    """List the presets as a path to learn by, or what one teaches and what to try with it."""
    from tui.commands import lessons

    lessons.presets(name, as_json=json)


@app.command(epilog=_examples("dltui models", "dltui models cnn"))
def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show the options of this one.")] = None,
    json: Json = False,
) -> None:
    """List the architectures, or one architecture's options."""
    from tui.commands import catalogue

    catalogue.builders("model", name, as_json=json)


@app.command(epilog=_examples("dltui data", "dltui data csv"))
def data(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show the options of this one.")] = None,
    json: Json = False,
) -> None:
    """List the data sets, or one data set's options."""
    from tui.commands import catalogue

    catalogue.builders("data", name, as_json=json)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        arguments: without the program's name; the process's own when left out.

    Returns:
        The exit code.
    """
    from dlcore.errors import UserError
    from tui import streams

    streams.open_missing()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a locale without "✓" must not end in a traceback
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except UserError as error:
        from tui.commands.common import exit_code, report

        code = exit_code(error)
        with contextlib.suppress(OSError):
            report(error)
    except BrokenPipeError:
        code = BROKEN_PIPE
    except OSError as error:
        if not streams.is_full(error):
            raise
        code = NOT_PRINTED
        with contextlib.suppress(OSError):
            print(f"the output cannot be written: {error.strerror}; make room for it", file=sys.stderr)
    streams.settle()
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(args=None if arguments is None else list(arguments), prog_name="dltui")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
