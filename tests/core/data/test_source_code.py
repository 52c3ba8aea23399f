"""Snippets of installed source files: told apart by package, so that no package is trained and tested on."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from dlcore.data import source_code, source_files
from dlcore.data.source_code import cut_one, draw
from dlcore.data.source_files import PARTS, Source, assign, installed_sources, package_of
from dlcore.data.spec import Data, DataContext
from dlcore.errors import UserError
from dlcore.registry import DATA
from dlcore.vocabulary import from_plain


@cache
def load(**options: Any) -> Data:
    data = DATA.build("source_code", DataContext(Path("nowhere")), **options)
    assert isinstance(data, Data)
    return data


def made(*packages: tuple[str, str, int]) -> list[Source]:
    """Sources of (package, language, characters)."""
    return [
        Source(package, language, "".join(f"{package} line {n}\n" for n in range(size // 10)))
        for package, language, size in packages
    ]


def test_each_package_belongs_to_one_part_and_each_part_gets_its_share() -> None:
    sources = installed_sources()
    assigned = assign(sources)
    assert {source.package for source in sources} == set(assigned)
    sizes = Counter[str]()
    for package in assigned:
        of_package = sum(len(source.text) for source in sources if source.package == package)
        sizes[assigned[package]] += min(of_package, source_files.COUNTED)
    for part, share in PARTS.items():
        assert sizes[part] / sizes.total() == pytest.approx(share, abs=0.2)


def test_every_part_of_a_language_in_three_packages_gets_one() -> None:
    sources = made(("a", "X", 90_000), ("b", "X", 500), ("c", "X", 300), ("d", "Y", 1000))
    parts = assign(sources)
    assert parts["a"] == "train"
    assert {parts["a"], parts["b"], parts["c"]} == {"train", "val", "test"}


def test_parts_do_not_depend_on_the_order_of_the_files() -> None:
    sources = made(("a", "X", 9000), ("b", "X", 5000), ("c", "Y", 3000), ("d", "Y", 1000), ("b", "Y", 100))
    assert assign(sources) == assign(sources[::-1])


def test_snippets_come_from_their_parts_packages_and_none_comes_twice() -> None:
    sources = made(("a", "X", 9000), ("b", "X", 5000), ("c", "X", 3000), ("d", "X", 4000))
    parts = assign(sources)
    drawn = draw(sources, parts, count=40, characters=120, seed=0)
    everything = [snippet for several in drawn.values() for snippet in several]
    assert len(set(everything)) == len(everything)
    for (_, part), several in drawn.items():
        for snippet in several:
            assert all(parts[line.split()[0]] == part for line in snippet.splitlines() if " " in line)


def test_a_snippet_begins_with_a_line() -> None:
    text = "".join(f"line {n}\n" for n in range(100))
    for seed in range(20):
        snippet = cut_one(text, 30, np.random.default_rng(seed))
        assert snippet.startswith("line ") and len(snippet) <= 30


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("sklearn/svm/_base.py", "scikit-learn"),
        ("six.py", "six"),
        ("torch/nn/functional.py", "torch"),
        ("torch/include/ATen/core/Tensor.h", "torch"),
        ("torch/include/fmt/core.h", "torch/fmt"),
        ("scikit_learn-1.7.0.dist-info/METADATA", "scikit-learn"),
        ("unheard_of/__init__.py", "unheard-of"),
    ],
)
def test_whose_file_it_is(path: str, package: str) -> None:
    projects = {"sklearn": "scikit-learn", "torch": "torch"}
    assert package_of(PurePosixPath(path), projects) == package


def test_readmes_tell_their_language_and_links_may_lead_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "thing-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: thing\nDescription-Content-Type: text/x-rst\n\nTitle\n=====\n")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / "thing.py").write_text("x = 1\n")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setattr(source_files.sysconfig, "get_path", lambda name: str(tmp_path))
    found = {(source.package, source.language): source.text for source in installed_sources()}
    assert found == {("thing", "reStructuredText"): "Title\n=====\n", ("thing", "Python"): "x = 1\n"}


def test_too_few_packages_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_code, "installed_sources", lambda: made(("a", "X", 9000), ("b", "X", 9000)))
    with pytest.raises(UserError, match="too few packages are installed"):
        DATA.build("source_code", DataContext(Path("nowhere")))


def test_languages_beside_this_python_are_told_apart() -> None:
    data = load()
    assert {"Python", "C or C++", "Markdown"} <= set(data.spec.class_names)
    assert min(data.spec.class_counts) > 100
    assert data.test is not None
    assert any("packages not trained on" in note for note in data.notes)


def test_a_snippet_is_source_text_again() -> None:
    data = load()
    tokenizer = from_plain(data.spec.preprocessing["tokenizer"])
    python = data.spec.class_names.index("Python")
    rows = data.train.inputs[data.train.targets == python]  # type: ignore[union-attr]
    text = "\n".join(tokenizer.decode(row) for row in rows.tolist())
    assert "def " in text and "self." in text and "import " in text


def test_a_vocabulary_too_small_for_bytes_is_a_sentence() -> None:
    with pytest.raises(UserError, match=r"data\.vocabulary must be at least 257 for bpe"):
        load(vocabulary=200)
