"""An episode as text frames, played again from its seed and its actions."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from dlcore.episodes.rollouts import Environment, Floats

MOST_FRAMES = 50
TRACK = 41  # columns, for positions from -2.4 to 2.4
POLE = 6  # rows

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def frames(name: str, seed: int, actions: Sequence[int]) -> list[str]:
    """At most `MOST_FRAMES` moments of an episode, evenly over it, its end the last.

    CartPole is drawn; an environment that draws itself as text does so; of others the state's numbers are shown.
    """
    environment = Environment(name)
    draws = environment.texts and not name.startswith("CartPole")
    if draws:
        environment = Environment(name, render=True)
    state = environment.reset(seed)
    every = max(1, math.ceil(len(actions) / (MOST_FRAMES - 1)))
    pictures = []
    for step in range(len(actions) + 1):
        if step % every == 0 or step == len(actions):
            drawn = _COLOURS.sub("", environment.render()) if draws else _drawn(name, state)
            pictures.append(f"step {step} of {len(actions)}\n{drawn}")
        if step < len(actions):
            state, *_ = environment.step(actions[step])
    environment.close()
    return pictures


def _drawn(name: str, state: Floats) -> str:
    if name.startswith("CartPole"):
        return cart_pole(float(state[0]), float(state[2]))
    return "  ".join(f"{value:+.3f}" for value in state[:16])


def cart_pole(position: float, angle: float) -> str:
    """A cart with its pole.

    Args:
        position: -2.4 … 2.4, the ends of the track.
        angle: of the pole against the vertical in radians, to the right above 0.
    """
    middle = (TRACK - 1) / 2
    cart = round(middle + position / 2.4 * middle)
    rows = []
    for height in range(POLE, 0, -1):
        # A cell is twice as high as wide: a row up is two columns of pole.
        column = round(cart + 2 * height * math.tan(angle))
        rows.append(_at(column, "/" if angle > 0.05 else "\\" if angle < -0.05 else "|"))
    rows.append(_at(cart - 2, "[===]"))
    rows.append("─" * TRACK)
    rows.append(f"position {position:+.2f}   angle {math.degrees(angle):+.1f}°")
    return "\n".join(rows)


def _at(column: int, text: str) -> str:
    """Text from a column on, kept on the track."""
    return " " * min(max(column, 0), TRACK - len(text)) + text
