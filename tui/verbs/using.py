"""Verbs for a trained network: evaluate, predict, export, serve, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tui.verbs.options import Json, Run, Runs, Which, examples

verbs = typer.Typer()


@verbs.command(
    epilog=examples(
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


@verbs.command(
    epilog=examples(
        "dltui predict digits-cnn-2 scan.png photos/",
        "dltui predict titanic-mlp people.csv --csv > answers.csv",
        'dltui predict shakespeare-gpt "ROMEO:" --max-tokens 300',
        "dltui predict digits-gan --count 16",
        "dltui predict cartpole-policy --count 5",
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
    count: Annotated[
        int, typer.Option(min=0, max=10_000, help="So many new pictures, or episodes of a policy.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for pictures, masks, or episodes as text."),
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


@verbs.command(
    epilog=examples(
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


@verbs.command(epilog=examples("dltui serve digits-cnn-2", "dltui serve titanic-mlp --port 8100"))
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


@verbs.command(
    epilog=examples("dltui report digits-cnn-2", "dltui report digits-cnn digits-mlp --out compare.html")
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
