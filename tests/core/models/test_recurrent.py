"""Recurrent networks: reading order, padding, directions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.models.recurrent import reverse, valid_lengths
from dlcore.registry import MODELS

CELLS = ["rnn", "lstm", "gru"]
every_cell = pytest.mark.parametrize("cell", CELLS)
both_directions = pytest.mark.parametrize("bidirectional", [False, True])

TOKENS = DataSpec("tokens", (12,), "class", 3, input_dtype="int64", vocabulary=tuple("_abcdefghi"), pad_id=0)


def build(cell: str, spec: DataSpec = TOKENS, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return MODELS.build(cell, spec, **{"hidden": 16, **options}).eval()


def padded(*lengths: int, time: int = 12) -> Tensor:
    ids = torch.randint(1, 10, (len(lengths), time), generator=torch.Generator().manual_seed(3))
    for row, length in enumerate(lengths):
        ids[row, length:] = 0
    return ids


@every_cell
@both_directions
@pytest.mark.parametrize("layers", [1, 2])
def test_padding_never_touches_the_answer(cell: str, bidirectional: bool, layers: int) -> None:
    model = build(cell, layers=layers, bidirectional=bidirectional)
    ids = padded(5, 12, 1, 9)
    together = model(ids)
    longer = model(torch.cat([ids, torch.zeros(4, 6, dtype=torch.int64)], dim=1))
    torch.testing.assert_close(longer, together)
    for row, length in enumerate((5, 12, 1, 9)):
        alone = model(ids[row : row + 1, :length])
        torch.testing.assert_close(alone[0], together[row])


@every_cell
def test_the_vector_of_the_padding_does_not_matter(cell: str) -> None:
    model, ids = build(cell, bidirectional=True, layers=2), padded(5, 12, 1, 9)
    before = model(ids)
    with torch.no_grad():
        model.embedding.weight[0] = 100.0
    torch.testing.assert_close(model(ids), before)


@every_cell
def test_a_pad_id_inside_a_sequence_is_a_token(cell: str) -> None:
    ids = torch.tensor([[3, 0, 4, 0, 0]])
    assert valid_lengths(ids, 0).tolist() == [3]
    assert not torch.allclose(build(cell)(ids), build(cell)(torch.tensor([[3, 0, 5, 0, 0]])))


def test_a_sequence_of_padding_alone_counts_as_one_step() -> None:
    ids = torch.zeros(1, 5, dtype=torch.int64)
    assert valid_lengths(ids, 0).tolist() == [1]
    assert build("lstm", bidirectional=True)(ids).isfinite().all()


@every_cell
@both_directions
def test_equal_to_torchs_own_layers_over_packed_sequences(cell: str, bidirectional: bool) -> None:
    model, lengths = build(cell, layers=2, bidirectional=bidirectional), (5, 12, 1, 9)
    ids = padded(*lengths)
    kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
    theirs = kind(64, 16, num_layers=2, batch_first=True, bidirectional=bidirectional)
    for layer, block in enumerate(model.blocks):
        for name, weight in block.ahead.named_parameters():
            theirs.get_parameter(name.replace("l0", f"l{layer}")).data.copy_(weight)
        for name, weight in block.back.named_parameters() if bidirectional else ():
            theirs.get_parameter(name.replace("l0", f"l{layer}_reverse")).data.copy_(weight)
    packed = pack_padded_sequence(
        model.embedding(ids), torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    _, state = theirs(packed)
    final = state[0] if cell == "lstm" else state  # (layers * directions, batch, hidden)
    expected = model.head(torch.cat([final[-2], final[-1]], dim=1) if bidirectional else final[-1])
    torch.testing.assert_close(model(ids), expected)


@every_cell
def test_an_image_is_read_row_by_row(cell: str) -> None:
    model = build(cell, DataSpec("image", (2, 5, 3), "class", 4))
    image = torch.arange(30.0).view(1, 2, 5, 3)
    steps, lengths = model.as_steps(image)
    assert lengths is None
    assert steps.shape == (1, 5, 6)
    assert steps[0, 1].tolist() == [3, 4, 5, 18, 19, 20]  # row 1 of channel 0, then of channel 1


@every_cell
@both_directions
def test_every_step_reaches_the_answer(cell: str, bidirectional: bool) -> None:
    model = build(cell, DataSpec("sequence", (6, 2), "class", 4), bidirectional=bidirectional)
    inputs = torch.randn(3, 6, 2, requires_grad=True)
    model(inputs).sum().backward()
    assert inputs.grad is not None
    assert (inputs.grad.abs().sum(dim=2) > 0).all()


def test_reverse_turns_the_valid_part_around() -> None:
    steps = torch.arange(1.0, 9.0).view(2, 4, 1)
    turned = reverse(steps, torch.tensor([3, 4])).squeeze(2)
    assert turned.tolist() == [[3, 2, 1, 4], [8, 7, 6, 5]]
    assert torch.equal(reverse(reverse(steps, torch.tensor([3, 4])), torch.tensor([3, 4])), steps)


def test_forget_gates_start_open() -> None:
    cell = build("lstm", layers=2).blocks[1].ahead
    forget = (cell.bias_ih_l0 + cell.bias_hh_l0)[16:32]
    assert torch.equal(forget, torch.ones(16))


def test_token_vectors_start_small_and_the_paddings_at_0() -> None:
    weight = build("gru").embedding.weight.detach()
    assert float(weight[1:].std()) == pytest.approx(0.1, rel=0.1)
    assert not weight[0].any()


@every_cell
def test_dropout_acts_between_layers_in_training(cell: str) -> None:
    model, ids = build(cell, layers=2, dropout=0.5).train(), padded(5, 12)
    assert not torch.equal(model(ids), model(ids))


def test_dropout_with_a_single_layer_has_nowhere_to_act_but_on_tokens() -> None:
    with pytest.raises(UserError, match="use layers = 2, or dropout = 0"):
        build("gru", DataSpec("sequence", (6, 2), "class", 4), dropout=0.2)
    model, ids = build("gru", dropout=0.5).train(), padded(5, 12)
    assert not torch.equal(model(ids), model(ids))


@every_cell
@both_directions
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_a_pooled_answer_is_drawn_from_all_valid_states_alone(
    cell: str, bidirectional: bool, pool: str
) -> None:
    model, lengths = build(cell, bidirectional=bidirectional, pool=pool), (5, 12, 1, 9)
    ids = padded(*lengths)
    steps, valid = model.as_steps(ids)
    states = model.blocks[0](steps, valid)
    for row, length in enumerate(lengths):
        of_row = states[row, :length]
        summary = of_row.mean(0) if pool == "mean" else of_row.amax(0)
        torch.testing.assert_close(model(ids)[row], model.head(summary))
        torch.testing.assert_close(model(ids[row : row + 1, :length])[0], model(ids)[row])


def test_an_image_can_be_pooled_over_its_rows() -> None:
    model = build("gru", DataSpec("image", (1, 5, 3), "class", 4), pool="mean")
    image = torch.randn(2, 1, 5, 3)
    assert torch.equal(model(image), model.head(model.blocks[0](image.squeeze(1), None).mean(1)))


def test_tokens_without_a_vocabulary_are_refused() -> None:
    with pytest.raises(UserError, match="need the data's vocabulary"):
        build("lstm", DataSpec("tokens", (5,), "class", 2, input_dtype="int64"))


def test_lstm_parameter_count() -> None:
    model = build("lstm", DataSpec("image", (1, 28, 28), "class", 10), hidden=128)
    assert sum(p.numel() for p in model.parameters()) == 4 * 128 * (28 + 128 + 2) + 128 * 10 + 10
