"""Gradient checkpointing: activations inside blocks are computed again in the backward pass instead of kept.

Costs about one more forward pass of the blocks and saves their inner activations (Chen et al. 2016).
"""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from dlcore.errors import UserError


def rematerialise_blocks(model: nn.Module) -> None:
    """Make every block of ``model.blocks`` recompute its activations; random layers repeat their draw.

    Raises:
        UserError: the model names no blocks.
    """
    blocks = getattr(model, "blocks", None)
    if not isinstance(blocks, nn.Sequential | nn.ModuleList) or len(blocks) == 0:
        raise UserError(
            "training.gradient_checkpointing needs a model with repeated blocks (an attribute 'blocks' holding "
            f"an nn.Sequential or nn.ModuleList); {type(model).__name__} has none, set it to false."
        )
    for block in blocks:
        forward = block.forward
        if not (isinstance(forward, partial) and forward.func is checkpoint):  # once is enough
            block.forward = partial(checkpoint, forward, use_reentrant=False)
