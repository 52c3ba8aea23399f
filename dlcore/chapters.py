"""The learning path's chapters; `[about] chapter` of a preset says which one it is in."""

from __future__ import annotations

TITLES = {
    1: "A single neuron",
    2: "Going downhill",
    3: "Hidden layers",
    4: "Multilayer perceptrons, and what can go wrong",
    5: "Tables",
    6: "Images: convolutions",
    7: "Sequences: recurrent networks",
    8: "Deep networks, and starting from somebody else's",
    9: "A class for every pixel",
    10: "Text and attention",
    11: "Networks that draw",
    12: "Learning by trial",
}


def heading(chapter: int) -> str:
    """``chapter 3 · Hidden layers``; 0 is not on the path."""
    if not chapter:
        return "recipes"
    title = TITLES.get(chapter)
    return f"chapter {chapter} · {title}" if title else f"chapter {chapter}"
