"""The core of dltui: everything a training needs, and nothing that paints.

A run is a directory and the directory is the interface. Read the package in this order:

    preset.py, registry.py      what to train: a TOML file checked against the builders' own signatures
    data/  models/  tasks/      the builders, one family a file, found by discovery
    training/                   the loop and what it stands on: optimizers, schedules, recorder, checkpoints
    worker.py                   wires preset -> data -> model -> task -> trainer; the only place that does
    run_dir.py, events.py,      the run directory, written by one worker and read by any number of viewers;
    series.py, control.py       none of these imports torch, so a viewer may import them
    inspection/  deploy/        looking inside a network, and taking it away
"""
