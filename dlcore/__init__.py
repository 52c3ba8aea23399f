"""The core of dltui: everything a training needs, and nothing that paints.

A run is a directory and the directory is the interface. Read the package in this order:

    preset/  registry/          what to train: a TOML file checked against the builders' own signatures
    data/  models/  tasks/      the builders, one family a file, found by discovery
    training/                   the loop and what it stands on: optimizers, schedules, recorder, checkpoints
    worker.py                   wires preset -> data -> model -> task -> trainer; opening.py and assembly.py help it
    run_dir/  series/           the run directory, written by one worker and read by any number of viewers;
    events.py  control.py       none of these imports torch, so a viewer may import them
    launch/  gauges/            how a worker is started, stopped and found alive; what the machine is doing meanwhile
    engine/                     the process that answers a viewer's questions, so that the viewer needs no torch
    inspection/  doctor/        looking inside a network, and what is wrong with it
    deploy/  bench/             taking it away, and how fast it is
"""
