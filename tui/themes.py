"""dltui's own themes beside Textual's: a calm dark and light one, and one of high contrast.

Tokens mean the same in each: accent is focus and the selected run, success finished or better, warning
paused or a warning, error failed or worse.
"""

from __future__ import annotations

from textual.theme import Theme

DEFAULT = "dltui-dark"

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
    error="#ff6b6b",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    dark=True,
)
THEMES = (DARK, LIGHT, CONTRAST)
