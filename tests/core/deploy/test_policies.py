"""A trained policy: what it does in a state, and the episodes that it plays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dlcore import trained
from dlcore.deploy.create import play, save_episodes
from dlcore.deploy.evaluate import evaluate
from dlcore.deploy.export import export
from dlcore.deploy.exporting import FORMATS, Options
from dlcore.deploy.inputs import Unreadable
from dlcore.deploy.predict import Answer, predict
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from tests.core.deploy.small_runs import CARTPOLE, IRIS
from tui.commands.predict import Form, _print_episodes


@pytest.fixture
def found(trained_once: Callable[[str], RunDir]) -> trained.Trained:
    return trained.load(trained_once(CARTPOLE), device="cpu")


def test_a_state_is_answered_with_the_likeliest_action(found: trained.Trained, tmp_path: Path) -> None:
    (tmp_path / "states.csv").write_text("0,0,0.1,0\n0,0,-0.1,0.5\n0,0,x,0\n")
    first, second, third = predict(found, [str(tmp_path / "states.csv")])
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert isinstance(third, Unreadable)
    logits = found.task.model(torch.tensor([[0, 0, 0.1, 0], [0, 0, -0.1, 0.5]])).logits
    assert [each.content["prediction"] for each in (first, second)] == [
        str(i) for i in logits.argmax(1).tolist()
    ]
    assert list(first.content["probabilities"].values()) == pytest.approx(logits.softmax(1)[0].tolist())


def test_episodes_repeat_by_their_seed_and_can_be_read(found: trained.Trained, tmp_path: Path) -> None:
    first, again, other = (play(found, 3, seed=seed, framed=True) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    for episode in first:
        assert episode["return"] == episode["length"], "CartPole pays 1 a step"
        assert episode["frames"][-1].startswith(f"step {episode['length']} of")
    save_episodes(first, tmp_path / "out")
    assert [Path(each["file"]).name for each in first] == [f"episode-{at:04d}.txt" for at in range(3)]
    assert "[===]" in (tmp_path / "out/episode-0000.txt").read_text()


def test_the_mean_of_several_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    episodes = [{"return": 10.0, "length": 10}, {"return": 20.0, "length": 20}]
    _print_episodes(episodes, Form())
    assert capsys.readouterr().out.splitlines()[-1].split() == ["mean", "return", "15", "15", "steps"]
    _print_episodes(episodes, Form(csv=True))
    assert capsys.readouterr().out.splitlines() == ["episode,return,length", "1,10.0,10", "2,20.0,20"]


def test_its_evaluation_is_that_of_the_training(found: trained.Trained) -> None:
    result = evaluate(found)
    assert result["metrics"]["return"] == pytest.approx(found.run.summary().metrics["test/return"])


@pytest.mark.slow
@pytest.mark.parametrize("to", FORMATS.names())
def test_it_can_be_taken_away(to: str, found: trained.Trained, tmp_path: Path) -> None:
    checked = export(found, to, tmp_path / "a", Options(dynamic=True))
    assert checked.difference <= checked.tolerance


def test_a_task_that_plays_nothing_says_so(trained_once: Callable[[str], RunDir]) -> None:
    with pytest.raises(UserError, match="plays nothing"):
        play(trained.load(trained_once(IRIS)), 2, seed=0, framed=False)
