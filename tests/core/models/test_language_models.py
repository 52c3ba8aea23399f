"""GPT looks back only; BERT looks both ways, but never under a mask; the classifier's [CLS] sees every token."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dlcore.data.spec import DataSpec
from dlcore.errors import UserError
from dlcore.registry import MODELS

VOCABULARY = tuple("_abcdefghijklmno")
TIME = 12
FUSED = pytest.mark.parametrize("fused", [True, False])


def build(name: str, target: Any = "tokens", pad_id: int | None = None, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    outputs = {"tokens": len(VOCABULARY), "class": 3}[target]
    spec = DataSpec(
        "tokens", (TIME,), target, outputs, input_dtype="int64", vocabulary=VOCABULARY, pad_id=pad_id
    )
    return MODELS.build(name, spec, embed_dim=32, heads=4, **options).eval()


def some_ids() -> Tensor:
    return torch.randint(1, len(VOCABULARY), (3, TIME), generator=torch.Generator().manual_seed(2))


def with_other(ids: Tensor, place: int) -> Tensor:
    changed = ids.clone()
    changed[:, place] = changed[:, place] % (len(VOCABULARY) - 1) + 1
    return changed


@FUSED
def test_gpt_never_looks_ahead(fused: bool) -> None:
    model, ids = build("gpt", fused=fused), some_ids()
    before = model(ids)
    for place in range(TIME):
        after = model(with_other(ids, place))
        torch.testing.assert_close(after[:, :place], before[:, :place])
        assert (after[:, place:] - before[:, place:]).abs().amax(dim=(0, 2)).gt(1e-6).all()


def test_gpt_answers_a_prefix_like_the_whole() -> None:
    model, ids = build("gpt"), some_ids()
    torch.testing.assert_close(model(ids[:, :5]), model(ids)[:, :5])


def test_both_forms_of_gpts_attention_agree() -> None:
    written_out = build("gpt", fused=False)
    written_out.load_state_dict(build("gpt").state_dict())
    torch.testing.assert_close(written_out(some_ids()), build("gpt")(some_ids()), rtol=1e-4, atol=1e-5)


def test_a_tied_gpt_has_one_matrix_for_tokens_in_and_out() -> None:
    tied, free = build("gpt"), build("gpt", tied=False)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (tied, free)]
    assert sizes[1] - sizes[0] == len(VOCABULARY) * 32
    assert free(some_ids()).shape == tied(some_ids()).shape


@pytest.mark.parametrize("name", ["gpt", "bert"])
def test_a_text_longer_than_the_model_knows_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="knows 12 positions, but got a sequence of 13"):
        build(name)(torch.ones(1, TIME + 1, dtype=torch.int64))


def test_bert_looks_both_ways() -> None:
    model, ids = build("bert"), some_ids()
    before = model(ids)
    for place in (0, TIME - 1):
        after = model(with_other(ids, place))
        assert (after - before).abs().amax(dim=(0, 2)).gt(1e-6).all()


def test_bert_answers_only_where_it_is_asked() -> None:
    model, ids = build("bert"), some_ids()
    at = torch.tensor([[0, 5], [3, 3], [11, 1]])
    everywhere = model(ids)
    asked = torch.stack([everywhere[row, places] for row, places in enumerate(at)])
    torch.testing.assert_close(model(ids, at), asked)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_every_token_reaches_the_classifier(norm: str) -> None:
    model, ids = build("transformer", "class", pad_id=0, norm=norm), some_ids()
    before = model(ids)
    for place in range(TIME):
        assert (model(with_other(ids, place)) - before).abs().amax(dim=1).gt(1e-6).all()


def test_the_classifier_knows_the_order() -> None:
    model, ids = build("transformer", "class"), some_ids()
    assert not torch.allclose(model(ids), model(ids.flip(1)), atol=1e-4)


def test_a_pretrained_encoder_has_the_classifiers_names_and_shapes() -> None:
    bert, classifier = build("bert", pad_id=0), build("transformer", "class", pad_id=0)
    theirs = {name: weight.shape for name, weight in bert.state_dict().items()}
    shared = {name for name, weight in classifier.state_dict().items() if theirs.get(name) == weight.shape}
    assert set(classifier.state_dict()) - shared == {"cls", "head.weight", "head.bias"}


def test_token_dropout_hides_whole_tokens_in_training_only() -> None:
    model, ids = build("transformer", "class", dropout=0.0, token_dropout=0.5), some_ids()
    assert torch.equal(model(ids), model(ids))
    model.train()
    content = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: content.append(inputs[0]))
    model(ids)
    where = model.positions.weight
    gone = (content[0][:, 1:] - where).abs().amax(dim=2) < 1e-7
    assert 0.2 < float(gone.float().mean()) < 0.8
