"""Causal and masked language modelling: figures, hidden tokens, and samples."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import Batch, DataSpec
from dlcore.errors import UserError
from dlcore.registry import MODELS, TASKS
from dlcore.tasks.causal_lm import CausalLM, LanguageMetrics, generate
from dlcore.tasks.masked_lm import NOT_ASKED, MaskedLM, hide
from dlcore.tasks.texts import with_texts
from dlcore.vocabulary import fit

TEXT = "the cat sat on the mat; the dog sat on the log. "
TIME = 16
MASK_ID = 50


def language_spec(padded: bool = False) -> DataSpec:
    tokenizer = fit("characters", [TEXT], padded=padded, size=100)
    return DataSpec(
        "tokens",
        (TIME,),
        "tokens",
        len(tokenizer.vocabulary),
        input_dtype="int64",
        vocabulary=tokenizer.vocabulary,
        pad_id=tokenizer.pad_id,
        preprocessing={"tokenizer": tokenizer.to_plain(), "characters": tokenizer.characters()},
    )


def batch_of(spec: DataSpec, rows: int = 4) -> Batch:
    ids = torch.tensor(fit("characters", [TEXT], padded=spec.pad_id is not None, size=100).encode(TEXT))
    windows = torch.stack([ids[row : row + TIME + 1] for row in range(rows)])
    return Batch(windows[:, :-1], windows[:, 1:], torch.arange(rows))


def task_of(name: str, spec: DataSpec, **options: Any) -> Any:
    torch.manual_seed(0)
    model = MODELS.build("gpt" if name == "causal_lm" else "bert", spec, embed_dim=32, heads=4, dropout=0.0)
    return TASKS.build(name, model, spec, **options)


def test_causal_loss_is_the_mean_over_all_positions() -> None:
    spec = language_spec()
    task, batch = task_of("causal_lm", spec), batch_of(spec)
    loss, logits = task.loss(batch, "main")
    wanted = -logits.log_softmax(-1).gather(2, batch.targets[:, :, None]).mean()
    torch.testing.assert_close(loss, wanted)
    assert float(loss.detach()) == pytest.approx(math.log(len(spec.vocabulary)), rel=0.1)  # knows nothing yet


def test_figures_of_unequal_batches_are_those_of_the_whole() -> None:
    spec = language_spec()
    task, batch = task_of("causal_lm", spec).model, batch_of(spec, 5)
    whole, parts = LanguageMetrics([1] * spec.num_outputs), LanguageMetrics([1] * spec.num_outputs)
    for metrics, sizes in ((whole, [5]), (parts, [3, 2])):
        for piece in zip(*(tensor.split(sizes) for tensor in batch), strict=True):
            piece = Batch(*piece)
            logits = task(piece.inputs)
            metrics.update(F.cross_entropy(logits.flatten(0, 1), piece.targets.flatten()), logits, piece)
    expected = whole.compute()
    assert parts.compute() == pytest.approx(expected)
    assert expected["perplexity"] == pytest.approx(math.exp(expected["loss"]))
    assert expected["bits_per_character"] == pytest.approx(expected["loss"] / math.log(2))


def test_bits_per_character_count_the_characters_of_a_token() -> None:
    metrics = LanguageMetrics([1, 3])
    targets = torch.tensor([[0, 1, 1]])
    metrics.update(torch.tensor(2.0), torch.zeros(1, 3, 2), Batch(targets, targets, torch.arange(1)))
    assert metrics.compute()["bits_per_character"] == pytest.approx(3 * 2.0 / math.log(2) / 7)


class Counter(nn.Module):
    """Always expects the next id; the ids it saw at most are noted."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.longest = size, 0

    def forward(self, ids: Tensor) -> Tensor:
        self.longest = max(self.longest, ids.shape[1])
        return 20.0 * F.one_hot((ids + 1) % self.size, self.size).float()


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"temperature": 1.0}, {"top_k": 1}])
def test_text_goes_on_as_the_model_expects_it(options: dict[str, Any]) -> None:
    model = Counter(10)
    written = generate(model, torch.tensor([[3], [8]]), 5, length=4, **options)
    assert written.tolist() == [[4, 5, 6, 7, 8], [9, 0, 1, 2, 3]]
    assert model.longest == 4


class Indifferent(nn.Module):
    def forward(self, ids: Tensor) -> Tensor:
        return torch.arange(8.0).expand(*ids.shape, 8) / 10


def test_only_the_k_likeliest_are_drawn() -> None:
    prompts = torch.zeros(50, 1, dtype=torch.int64)
    drawn = generate(Indifferent(), prompts, 10, length=4, top_k=3)
    assert set(drawn.flatten().tolist()) == {5, 6, 7}
    assert len(set(generate(Indifferent(), prompts, 10, length=4).flatten().tolist())) == 8


def test_samples_are_the_same_each_time_and_leave_the_model_as_it_was() -> None:
    spec = language_spec()
    task, batch = task_of("causal_lm", spec, prompt=6, new_tokens=9), batch_of(spec)
    assert isinstance(task, CausalLM)
    task.model.train()
    torch.manual_seed(1)
    first = task.samples(batch, None)
    torch.manual_seed(2)
    assert task.samples(batch, None) == first
    assert task.model.training
    given, _, rest = first[0]["text"].partition("▸")
    assert given == TEXT[:6]
    assert len(rest) == 9


def some_rows(rows: int = 200, time: int = 40) -> Tensor:
    return torch.randint(1, MASK_ID, (rows, time), generator=torch.Generator().manual_seed(0))


def test_the_asked_share_is_hidden_swapped_and_kept_as_bert_does() -> None:
    ids = some_rows()
    hidden = hide(ids, rate=0.15, mask_id=MASK_ID, pad_id=0, generator=torch.Generator().manual_seed(0))
    assert hidden.at.shape == hidden.targets.shape == (200, 6)
    assert torch.equal(ids.gather(1, hidden.at), hidden.targets)
    seen = hidden.ids.gather(1, hidden.at)
    masked = float((seen == MASK_ID).float().mean())
    kept = float((seen == hidden.targets).float().mean())
    assert masked == pytest.approx(0.8, abs=0.05)
    assert kept == pytest.approx(0.1, abs=0.04)
    untouched = torch.ones_like(ids, dtype=torch.bool).scatter(1, hidden.at, False)
    assert torch.equal(hidden.ids[untouched], ids[untouched])


def test_padding_is_never_asked_about_and_never_drawn() -> None:
    ids = some_rows()
    lengths = torch.arange(200) % 40 + 1
    ids[torch.arange(40) >= lengths[:, None]] = 0
    hidden = hide(ids, rate=0.3, mask_id=MASK_ID, pad_id=0)
    asked = (hidden.targets != NOT_ASKED).sum(1)
    torch.testing.assert_close(asked, (lengths * 0.3).round().clamp(min=1).long())
    assert (hidden.targets != 0).all()
    assert torch.equal(hidden.ids == 0, ids == 0)


def test_a_masked_model_never_sees_what_is_under_a_mask() -> None:
    spec = language_spec(padded=True)
    task, batch = task_of("masked_lm", spec), batch_of(spec)
    task.model.eval()
    _, guesses = task.loss(batch, "main")
    under = guesses.ids.gather(1, guesses.at) == task.mask_id
    places = torch.zeros_like(batch.inputs, dtype=torch.bool)
    places.scatter_(1, guesses.at, under & (guesses.targets != NOT_ASKED))
    assert places.any()
    other = torch.where(places, batch.inputs % (len(spec.vocabulary) - 1) + 1, batch.inputs)
    _, again = task.loss(batch._replace(inputs=other), "main")
    assert torch.equal(guesses.logits, again.logits)
    assert not torch.equal(guesses.targets, again.targets)


def test_masked_loss_counts_asked_tokens_alone() -> None:
    spec = language_spec(padded=True)
    task, batch = task_of("masked_lm", spec), batch_of(spec)
    short = batch.inputs.clone()
    short[0, 3:] = 0
    loss, guesses = task.loss(batch._replace(inputs=short), "main")
    asked = guesses.targets != NOT_ASKED
    assert asked.sum(1).tolist() == [1, 2, 2, 2]
    of_each = -guesses.logits.log_softmax(-1)[asked].gather(1, guesses.targets[asked][:, None])
    torch.testing.assert_close(loss, of_each.mean())


def test_evaluation_asks_the_same_each_time_and_training_does_not() -> None:
    spec = language_spec()
    task, batch = task_of("masked_lm", spec, rate=0.5), batch_of(spec)
    task.model.eval()
    assert torch.equal(task.loss(batch, "main")[1].at, task.loss(batch, "main")[1].at)
    task.model.train()
    assert not torch.equal(task.loss(batch, "main")[1].at, task.loss(batch, "main")[1].at)


def test_masked_samples_show_the_gap_and_what_was_there() -> None:
    spec = language_spec()
    task, batch = task_of("masked_lm", spec), batch_of(spec)
    assert isinstance(task, MaskedLM)
    task.model.eval()
    _, guesses = task.loss(batch, "main")
    row = task.samples(batch, guesses)[0]
    text, *lines = row["text"].split("\n")
    assert len(text) == TIME
    assert text.count("▢") == int((guesses.ids[0] == task.mask_id).sum())
    assert len(lines) == guesses.targets.shape[1]


def test_each_gap_of_a_text_gets_its_likeliest_token() -> None:
    task = task_of("masked_lm", language_spec())
    task.model.eval()
    with torch.no_grad():
        filled = task.fill("the c[MASK]t s▢t")
    tokenizer = fit("characters", [TEXT], padded=False, size=100)
    assert len(filled["guesses"]) == 2
    for guesses, place in zip(filled["guesses"], (5, 9), strict=True):
        token, *_ = sorted(guesses, key=guesses.get, reverse=True)
        assert filled["prediction"][place] == token
        assert sum(guesses.values()) <= 1 + 1e-6
    ids = [
        *tokenizer.encode("the c"),
        task.mask_id,
        *tokenizer.encode("t s"),
        task.mask_id,
        *tokenizer.encode("t"),
    ]
    wanted = task.model(torch.tensor([ids]))[0, 5].argmax()
    assert filled["prediction"][5] == tokenizer.decode([int(wanted)])


@pytest.mark.parametrize(
    ("text", "reason"), [("the cat", "hides nothing"), ("the [MASK] " * 4, "the model reads 16 at once")]
)
def test_a_text_that_cannot_be_filled_is_one_sentence(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        task_of("masked_lm", language_spec()).fill(text)


def test_masked_task_refuses_a_model_without_a_mask() -> None:
    spec = language_spec()
    with pytest.raises(UserError, match="such as 'bert'; GPT has none"):
        TASKS.build("masked_lm", MODELS.build("gpt", spec), spec)


def test_samples_of_texts_show_what_was_read_unless_they_say_something_themselves() -> None:
    spec = language_spec(padded=True)
    batch = batch_of(spec)
    inputs = batch.inputs.clone()
    inputs[1, 3:] = 0
    rows = with_texts([{"target": 0}] * 4, spec, inputs)
    assert [row["text"] for row in rows][:2] == [TEXT[:TIME], TEXT[1:4]]
    assert with_texts([{"text": "mine"}], spec, inputs[:1]) == [{"text": "mine"}]
    image = DataSpec("image", (1, 2, 2), "class", 2)
    assert with_texts([{"target": 0}], image, torch.zeros(1, 1, 2, 2)) == [{"target": 0}]
