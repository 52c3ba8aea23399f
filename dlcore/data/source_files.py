"""Source files of the installed packages, by language and by the package they come from.

Invariant: a package belongs to one part whatever its languages, so nothing in the test part was written by those whose
other files were trained on. The same packages give the same parts.
"""

from __future__ import annotations

import hashlib
import os
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path, PurePosixPath
from typing import Literal

PartName = Literal["train", "val", "test"]

SUFFIXES = {
    ".py": "Python",
    ".h": "C or C++",
    ".hpp": "C or C++",
    ".cuh": "C or C++",
    ".cpp": "C or C++",
    ".pyx": "Cython",
    ".pxd": "Cython",
    ".tp": "Cython",  # templates of .pyx files
    ".css": "CSS",
    ".md": "Markdown",
    ".rst": "reStructuredText",
}

README_KINDS = {"text/markdown": "Markdown", "text/x-rst": "reStructuredText"}

MOST_BYTES = 200_000
"""Larger files are generated ones, mostly."""

FILES_A_PACKAGE = 250
"""The most files of one language that a package may give, lest the largest package be all there is."""

SKIPPED = frozenset({"__pycache__", "_vendor", "_vendored", "vendored", "node_modules", "externals"})
"""Copies of other packages, which would carry test text into training."""

STYLE_SHEET = re.compile(r'CSS(?:: [^=\n]+)? = """(.*?)"""', re.DOTALL)
"""Textual keeps a widget's style sheet in its class."""

PYTORCH = frozenset({"ATen", "c10", "caffe2", "torch"})
"""Folders of headers that are PyTorch's own; the others beside them are those of libraries it brings."""

PARTS: dict[PartName, float] = {"train": 0.6, "test": 0.25, "val": 0.15}
"""The share of each language's text that a part should get; the first goes first."""

COUNTED = 100_000
"""Characters of a package that count when packages are dealt out: snippets are taken from all of them in turn."""


@dataclass(frozen=True)
class Source:
    """One file's text."""

    package: str
    language: str
    text: str


def installed_sources() -> list[Source]:
    """Every usable file of the packages beside this interpreter, in an order that depends on their names only."""
    roots = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    projects = {name: min(owners).lower() for name, owners in packages_distributions().items()}
    found: dict[tuple[str, str], list[tuple[str, Path]]] = {}
    for root in sorted(roots):
        for path in _files(root):
            inside = PurePosixPath(path.relative_to(root))
            language = SUFFIXES.get(path.suffix)
            if path.name == "METADATA":
                language = "readme"
            if language is not None:
                found.setdefault((package_of(inside, projects), language), []).append(
                    (_scrambled(str(inside)), path)
                )
    sources = []
    for (package, language), files in sorted(found.items()):
        for _, path in sorted(files)[:FILES_A_PACKAGE]:
            sources += _read(package, language, path)
    return [source for source in sources + _own_documentation() if source.text.strip()]


def package_of(path: PurePosixPath, projects: Mapping[str, str]) -> str:
    """Whose file it is: the project that installed it, or the library whose headers it brings along.

    Args:
        projects: of the top folders, by name.
    """
    top = path.parts[0].removesuffix(".py")
    if top.endswith((".dist-info", ".egg-info")):
        return top.split("-")[0].lower().replace("_", "-")
    project = projects.get(top, top).lower().replace("_", "-")
    if project == "torch" and "include" in path.parts[:-2]:
        library = path.parts[path.parts.index("include") + 1]
        return project if library in PYTORCH else f"{project}/{library}"
    return project


def assign(sources: list[Source]) -> dict[str, PartName]:
    """The part of each package.

    Languages that few packages have come first, since they leave the least choice. Of each, the packages not yet dealt
    out go, largest first, where most is missing; a part that would else have none of it is served in time.
    """
    sizes: dict[str, Counter[str]] = {}
    for source in sources:
        sizes.setdefault(source.language, Counter())[source.package] += len(source.text)
    parts: dict[str, PartName] = {}
    for language in sorted(sizes, key=lambda name: (len(sizes[name]), name)):
        counted = {name: min(size, COUNTED) for name, size in sizes[language].items()}
        free = sorted(set(counted) - set(parts), key=lambda name: (-sizes[language][name], name))
        for place, package in enumerate(free):
            have = {part: sum(n for name, n in counted.items() if parts.get(name) == part) for part in PARTS}
            empty = [part for part in PARTS if not have[part]]
            missing = {part: share * sum(counted.values()) - have[part] for part, share in PARTS.items()}
            choice = empty if len(free) - place <= len(empty) else list(PARTS)
            parts[package] = max(choice, key=missing.__getitem__)
    return parts


def _files(root: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(root):  # Path.walk came with Python 3.12
        folders[:] = sorted(name for name in folders if name not in SKIPPED and name != "tests")
        for name in sorted(names):
            path = Path(place) / name
            wanted = path.suffix in SUFFIXES or name == "METADATA"
            if wanted and path.is_file() and path.stat().st_size <= MOST_BYTES:  # a link may lead nowhere
                yield path


def _read(package: str, language: str, path: Path) -> list[Source]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    if language == "readme":
        head, _, body = text.partition("\n\n")
        kinds = [kind for mark, kind in README_KINDS.items() if f"Description-Content-Type: {mark}" in head]
        return [Source(package, kind, body) for kind in kinds]
    if language == "Python" and package == "textual":
        sheets = [Source(package, "CSS", found) for found in STYLE_SHEET.findall(text)]
        return [Source(package, language, text), *sheets]
    return [Source(package, language, text)]


def _own_documentation() -> list[Source]:
    """The style sheet of Python's own help pages, the standard library's only one."""
    path = Path(sysconfig.get_path("stdlib")) / "pydoc_data" / "_pydoc.css"
    return _read("pydoc_data", "CSS", path) if path.exists() else []


def _scrambled(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
