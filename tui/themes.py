"""dltui's own themes beside Textual's: a calm dark and light one, one of high contrast, one for 16 colours.

Tokens mean the same in each: accent is focus and the selected run, success finished or better, warning
paused or a warning, error failed or worse, primary what is under way.
"""

from __future__ import annotations

from collections.abc import Mapping

from textual.theme import Theme

DARK = Theme(
    name="dltui-dark",
    primary="#7aa2d6",
    secondary="#8f9bb3",
    accent="#6cb6ff",
    success="#6fbf8b",
    warning="#e0b055",
    error="#ec7a70",
    foreground="#d3d7de",
    background="#14171c",
    surface="#1a1e25",
    panel="#222730",
    dark=True,
)
LIGHT = Theme(
    name="dltui-light",
    primary="#2b5f9e",
    secondary="#5c6675",
    accent="#0b62c4",
    success="#1f7a45",
    warning="#8f5f00",
    error="#b3261e",
    foreground="#22262d",
    background="#fafaf8",
    surface="#f1f1ee",
    panel="#e6e6e2",
    dark=False,
)
CONTRAST = Theme(
    name="dltui-contrast",
    primary="#ffffff",
    secondary="#ffffff",
    accent="#ffd60a",
    success="#5cff7a",
    warning="#ffb000",
    error="#ff7a7a",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    dark=True,
    variables={"row-cursor": "#4a3d00"},
)
# Each colour is one that a terminal of 16 has, so that none is rounded to another.
SIXTEEN = Theme(
    name="dltui-16",
    primary="#00ffff",
    secondary="#c0c0c0",
    accent="#00ffff",
    success="#00ff00",
    warning="#ffff00",
    error="#ff0000",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000080",
    dark=True,
    variables={"row-cursor": "#000080", "row-cursor-quiet": "#000080"},
)
THEMES = (DARK, LIGHT, CONTRAST, SIXTEEN)
DEFAULT = DARK.name

STATUS_TONES = {  # a theme's colours, the same meaning as `words.STATUS_COLOURS` has where nothing is themed
    "starting": "primary",
    "running": "primary",
    "paused": "warning",
    "finished": "success",
    "stopped": "warning",
    "failed": "error",
    "died": "error",
}


def tokens(variables: Mapping[str, str]) -> dict[str, str]:
    """Our own variables, made of a theme's colours where it does not set them."""
    return {
        "row-cursor": f"{variables['accent']} 22%",  # the marked row of the list that has the keys
        "row-cursor-quiet": f"{variables['foreground']} 8%",  # and of one that has not
    }
