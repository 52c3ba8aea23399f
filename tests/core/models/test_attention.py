"""Self-attention and the transformer block against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dlcore.errors import UserError
from dlcore.models.attention import (
    SelfAttention,
    TransformerBlock,
    attention_weights,
    causal_mask,
    initialise_transformer,
)

BATCH, TIME, WIDTH, HEADS = 3, 7, 16, 4
MASK = (torch.arange(TIME) < torch.tensor([7, 4, 1])[:, None])[:, None, None, :]


def steps() -> torch.Tensor:
    return torch.randn(BATCH, TIME, WIDTH, generator=torch.Generator().manual_seed(1))


def copy_weights(ours: TransformerBlock, theirs: nn.TransformerEncoderLayer) -> None:
    """Ours into theirs, which keeps query, key and value in one matrix, too."""
    pairs = {
        "self_attn.in_proj_": "attention.qkv.",
        "self_attn.out_proj.": "attention.out.",
        "linear1.": "feed_forward.expand.",
        "linear2.": "feed_forward.contract.",
        "norm1.": "norm1.",
        "norm2.": "norm2.",
    }
    assert len(list(theirs.parameters())) == 2 * len(pairs) == len(list(ours.parameters()))
    with torch.no_grad():
        for their_name, our_name in pairs.items():
            for kind in ("weight", "bias"):
                weight = torch.randn_like(ours.get_parameter(our_name + kind)) * 0.3
                ours.get_parameter(our_name + kind).copy_(weight)
                theirs.get_parameter(their_name + kind).copy_(weight)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activate", ["gelu", "relu"])
def test_block_equals_torchs_encoder_layer_with_the_same_weights(
    norm: str, activate: str, fused: bool
) -> None:
    ours = TransformerBlock(WIDTH, HEADS, norm=norm, activate=activate, fused=fused)  # type: ignore[arg-type]
    theirs = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, 0.0, activate, batch_first=True, norm_first=norm == "pre"
    )
    copy_weights(ours, theirs)
    padding = ~MASK[:, 0, 0]
    expected = theirs(steps(), src_key_padding_mask=padding)
    torch.testing.assert_close(ours(steps(), MASK), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours(steps()), theirs(steps()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "padded"])
def test_written_out_attention_equals_the_fused_one(causal: bool, mask: torch.Tensor | None) -> None:
    layer = SelfAttention(WIDTH, HEADS, causal=causal)
    fused = layer(steps(), mask)
    layer.fused = False
    torch.testing.assert_close(layer(steps(), mask), fused, rtol=1e-5, atol=1e-6)


def test_attention_equals_torchs_multihead_attention_that_is_told_the_batch_comes_first() -> None:
    ours, theirs = SelfAttention(WIDTH, HEADS), nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    theirs.in_proj_weight.data.copy_(ours.qkv.weight)
    theirs.in_proj_bias.data.copy_(ours.qkv.bias)
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    expected, weights = theirs(steps(), steps(), steps(), average_attn_weights=False)
    torch.testing.assert_close(ours(steps()), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.weights(steps()), weights, rtol=1e-5, atol=1e-6)


def test_weights_of_a_position_sum_to_1_and_leave_out_what_is_masked() -> None:
    weights = SelfAttention(WIDTH, HEADS, causal=True).weights(steps(), MASK)
    torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, HEADS, TIME))
    allowed = (causal_mask(TIME, weights.device) & MASK).expand_as(weights)
    assert not weights[~allowed].any()
    assert (weights[allowed] > 0).all()


def test_equal_keys_get_equal_weights() -> None:
    key = torch.ones(1, 1, 5, 4)
    weights = attention_weights(torch.randn(1, 1, 5, 4), key, None)
    torch.testing.assert_close(weights, torch.full((1, 1, 5, 5), 0.2))


@pytest.mark.parametrize("fused", [True, False])
def test_dropout_silences_weights_in_training_only(fused: bool) -> None:
    layer = SelfAttention(WIDTH, HEADS, dropout=0.5, fused=fused)
    assert not torch.equal(layer.train()(steps()), layer(steps()))
    assert torch.equal(layer.eval()(steps()), layer(steps()))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(UserError, match="use a multiple of 5"):
        SelfAttention(WIDTH, 5)


def test_what_enters_the_running_sum_starts_smaller_in_deeper_stacks() -> None:
    blocks = nn.ModuleList(TransformerBlock(64, 4) for _ in range(8))
    initialise_transformer(blocks, layers=8)
    assert float(blocks[0].attention.out.weight.detach().std()) == pytest.approx(0.02 / 4, rel=0.1)
    assert float(blocks[0].attention.qkv.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
