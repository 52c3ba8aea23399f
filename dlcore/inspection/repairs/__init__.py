"""Guesses at what would mend a failure. Each is tried by `dlcore.inspection.fixes` before anyone is shown it.

A guess is a `Candidate`: edits of the user's source, and what they say in a few words. It may be bold, for it
is dropped when the program fails with it, but it should be what a person would do; the likeliest comes first.

A new guess is a few lines of `yield from` in the function for what failed:

    layers.py        a torch layer: linear, convolution, pooling, normalisation (its table `REPAIRS` at the end)
    sequences.py     recurrent layers and their states, attention, embeddings
    operations.py    a torch function: cat, arithmetic, matmul, view (its table `REPAIRS` at the end)
    losses.py        a loss against its target, in the user's own code
    outputs.py       the network's output against what the task's loss wants
    devices.py       a tensor that does not move with the model
    constructors.py  a layer that cannot be built

made of the edits in changes.py, which know the failed pass and its source from scene.py and operands.py.
A network that shows it goes into tests/core/inspection/broken_networks.py.
"""
