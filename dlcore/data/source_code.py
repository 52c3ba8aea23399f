"""Which language is this? Snippets of the source files that are installed beside this Python."""

from __future__ import annotations

import numpy as np

from dlcore.data.build import Classes
from dlcore.data.seeding import derived_seed
from dlcore.data.source_files import PARTS, PartName, Source, assign, installed_sources
from dlcore.data.spec import Data, DataContext
from dlcore.data.splits import Split
from dlcore.data.tokens import fitted, labelled
from dlcore.errors import UserError
from dlcore.fields import Count, CountOrZero
from dlcore.registry import DATA
from dlcore.vocabulary import TokenKind

LEAST_TEXT = 40
"""Characters other than blanks; shorter snippets say too little."""

TRIES = 4
"""Draws for each snippet wanted; repeated and empty ones are thrown away."""

NAMED = 10
"""Packages named in the note about what is tested on."""

Snippets = dict[tuple[str, PartName], list[str]]


@DATA.register(group="bundled", input="tokens", target="class", shape=(96,), outputs=6)
def source_code(
    context: DataContext,
    *,
    snippets: Count = 1200,
    characters: Count = 200,
    tokens: TokenKind = "bpe",
    vocabulary: Count = 1000,
    length: CountOrZero = 96,
) -> Data:
    """Snippets of installed source files in six languages; those for testing come from other packages.

    Args:
        snippets: training snippets of each language, as far as there are so many.
        characters: length of a snippet; it begins at any line.
        tokens: what a snippet is cut into; bpe finds frequent strings by itself.
        vocabulary: the most different tokens; for bpe at least 257.
        length: tokens a snippet is filled up or cut to; 0 takes the longest training snippet, up to 256.
    """
    sources = installed_sources()
    assigned = assign(sources)
    drawn = draw(sources, assigned, snippets, characters, context.seed)
    languages = sorted({language for language, _ in drawn})
    complete = [name for name in languages if all(drawn.get((name, part)) for part in PARTS)]
    if len(complete) < 2:
        raise UserError("too few packages are installed to tell languages apart by their source files")
    texts: list[str] = []
    codes: list[int] = []
    places: dict[PartName, list[int]] = {part: [] for part in PARTS}
    for part in PARTS:
        for code, language in enumerate(complete):
            several = drawn[language, part]
            places[part] += range(len(texts), len(texts) + len(several))
            texts += several
            codes += [code] * len(several)
    parts = Split(*(np.array(places[part], np.int64) for part in ("train", "val", "test")))
    tokenizer = fitted(tokens, [texts[row] for row in parts.train], padded=True, vocabulary=vocabulary)
    answers = Classes(np.array(codes), tuple(complete))
    notes = [f"{name} is left out: too few packages have it" for name in languages if name not in complete]
    held_back = sorted({source.package for source in sources if assigned[source.package] == "test"})
    some = ", ".join(held_back[:NAMED]) + (", ..." if len(held_back) > NAMED else "")
    notes.append(f"tested on files of {len(held_back)} packages not trained on: {some}")
    return labelled(texts, answers, parts, tokenizer, length=length, notes=notes)


def draw(
    sources: list[Source], parts: dict[str, PartName], count: int, characters: int, seed: int
) -> Snippets:
    """Different snippets of each language and part, taken from its packages in turn so that each has its say."""
    files: dict[tuple[str, PartName], dict[str, list[str]]] = {}
    for source in sources:
        of_part = files.setdefault((source.language, parts[source.package]), {})
        of_part.setdefault(source.package, []).append(source.text)
    drawn: Snippets = {}
    taken: set[str] = set()
    for key in sorted(files):
        rng = np.random.default_rng(derived_seed(seed, *key))
        packages = [files[key][name] for name in sorted(files[key])]
        # A snippet at each of about every second line: more would only repeat each other.
        room = sum(len(text) for package in packages for text in package) // 80
        wanted = min(round(count * PARTS[key[1]] / PARTS["train"]), max(1, room))
        several = drawn.setdefault(key, [])
        for turn in range(wanted * TRIES):
            package = packages[turn % len(packages)]
            snippet = cut_one(package[rng.integers(len(package))], characters, rng)
            if snippet not in taken and len("".join(snippet.split())) >= LEAST_TEXT:
                taken.add(snippet)
                several.append(snippet)
            if len(several) == wanted:
                break
    return drawn


def cut_one(text: str, characters: int, rng: np.random.Generator) -> str:
    """Up to `characters` from the beginning of the line that a position drawn at random lies in."""
    start = text.rfind("\n", 0, int(rng.integers(len(text)))) + 1
    return text[start : start + characters]
