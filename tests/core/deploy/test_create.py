"""Pictures out of noise and texts out of prompts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcore import trained
from dlcore.deploy.create import draw, save_answers
from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from tests.core.deploy.small_runs import DRAWING, IRIS


@pytest.mark.parametrize("name", DRAWING)
def test_pictures_are_saved_with_a_sheet_and_the_seed_decides(
    name: str, trained_once: Callable[[str], RunDir], tmp_path: Path
) -> None:
    found = trained.load(trained_once(DRAWING[name]))
    first = draw(found, 5, tmp_path / "a", seed=1)
    again, other = draw(found, 5, tmp_path / "b", seed=1), draw(found, 5, tmp_path / "c", seed=2)
    assert [path.name for path in first] == [*(f"sample-{at:04d}.png" for at in range(5)), "all.png"]
    pixels = [[np.asarray(Image.open(path)) for path in paths] for paths in (first, again, other)]
    assert pixels[0][0].shape == (8, 8)
    assert pixels[0][-1].shape == (26, 17)  # two columns of three, a pixel between
    assert all(np.array_equal(a, b) for a, b in zip(pixels[0], pixels[1], strict=True))
    assert not np.array_equal(pixels[0][-1], pixels[2][-1])


def test_masks_are_saved_as_pictures_of_class_indices(tmp_path: Path) -> None:
    answers = [("photos/a b.png", {"prediction": "x", "picture": [[0, 3], [2, 1]]})]
    save_answers(answers, tmp_path / "masks")
    (path,) = (tmp_path / "masks").iterdir()
    assert path.name == "0000-a-b.png"
    assert np.asarray(Image.open(path)).tolist() == [[0, 3], [2, 1]]
    assert answers[0][1] == {"prediction": "x", "file": str(path)}


def test_a_task_that_draws_nothing_says_so(trained_once: Callable[[str], RunDir], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="draws nothing"):
        draw(trained.load(trained_once(IRIS)), 2, tmp_path, seed=0)
