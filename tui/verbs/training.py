"""Verbs that train, or try out what a training would be: run, check, bench, resume."""

from __future__ import annotations

from typing import Annotated

import typer

from tui.verbs.options import Detach, EndJson, Json, Preset, Processes, Quiet, Run, Runs, Sets, examples

verbs = typer.Typer()


@verbs.command(
    epilog=examples("dltui run digits-cnn", "dltui run my.toml --set training.epochs=40 --name long")
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
    processes: Processes = 1,
    prepare: Annotated[
        bool,
        typer.Option(
            "--prepare", help="Make the run and print its folder, for torchrun on several machines."
        ),
    ] = False,
) -> None:
    """Train a preset and show the progress.

    ctrl+c saves a checkpoint and stops; dltui resume goes on from there. Closing the terminal does not
    stop it.
    """
    from tui.commands import train

    raise typer.Exit(
        train.run(preset, sets or [], name, runs, train.Output(detach, quiet, json, prepare), processes)
    )


@verbs.command(epilog=examples("dltui check digits-cnn", "dltui check my.toml --set model.hidden=256"))
def check(preset: Preset, sets: Sets = None, json: Json = False) -> None:
    """Check a preset without training: shapes, parameters, memory."""
    from tui.commands import check as command

    raise typer.Exit(command.check(preset, sets or [], as_json=json))


@verbs.command(
    epilog=examples("dltui bench mnist-cnn", "dltui bench my.toml --set training.batch_size=256 --seconds 90")
)
def bench(
    preset: Preset,
    sets: Sets = None,
    seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="To measure for, once the data is loaded.")
    ] = 30.0,
    json: Json = False,
) -> None:
    """Measure how fast a preset trains on this machine, and what would make it faster.

    Nothing is kept. Other work on the same cores slows all that is compared alike, so trust ratios first.
    """
    from tui.commands import bench as command

    command.bench(preset, sets or [], seconds, as_json=json)


@verbs.command(epilog=examples("dltui resume", "dltui resume digits-cnn-2 --set training.epochs=40"))
def resume(
    run: Run = None,
    sets: Sets = None,
    runs: Runs = None,
    detach: Detach = False,
    quiet: Quiet = False,
    json: EndJson = False,
    processes: Processes = 1,
) -> None:
    """Go on with a run from its last checkpoint.

    It ends with the same weights as if it had never stopped. --set may change how long and how it trains
    (such as training.epochs), not what is trained.
    """
    from tui.commands import train

    raise typer.Exit(train.resume(run, sets or [], runs, train.Output(detach, quiet, json), processes))
