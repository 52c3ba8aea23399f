"""The learning path: `[about] chapter` of a preset says which chapter it is in, `lesson` its place there."""

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

OFF_THE_PATH = 1_000
"""Sorts behind every chapter and every lesson."""


def place(chapter: int, lesson: int, name: str) -> tuple[int, int, str]:
    """To sort presets by as they are to be learned from; those that say no place come last, by name."""
    return chapter or OFF_THE_PATH, lesson or OFF_THE_PATH, name


def heading(chapter: int) -> str:
    """``chapter 3 · Hidden layers``; 0 is not on the path."""
    if not chapter:
        return "recipes"
    title = TITLES.get(chapter)
    return f"chapter {chapter} · {title}" if title else f"chapter {chapter}"
