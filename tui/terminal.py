"""The terminal itself: what it can show, how to write to it safely, and how to mend it.

Nothing of Textual is imported here: a terminal that cannot be used costs no more than this module.
"""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from collections.abc import Mapping

# What a killed app leaves behind, undone in an order that is harmless on a healthy terminal: synchronised
# output, kitty keyboard, bracketed paste, in-band resize, focus reports, mouse, the alternate screen,
# wrapping, the cursor, colours.
MENDING = (
    "\x1b[?2026l\x1b[<u\x1b[?2004l\x1b[?2048l\x1b[?1004l"
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"
    "\x1b[?1049l\x1b[?7h\x1b[?25h\x1b[0m"
)

_SIGNS = {
    "●": "*", "○": "o", "‖": "=", "✓": "+", "◼": "#", "✗": "x", "†": "!", "◆": "+", "•": "*", "·": ".",
    "▸": ">", "▾": "v", "▲": "^", "▼": "v", "◂": "<", "→": ">", "←": "<", "↑": "^", "↓": "v", "⏎": "<",
    "…": "~", "–": "-", "—": "-", "−": "-", "×": "x", "±": "+", "≥": ">", "≤": "<", "≈": "~", "²": "2",
    "▁": "_", "▂": ".", "▃": "-", "▄": "=", "▅": "=", "▆": "+", "▇": "*", "█": "#", "▉": "#", "▊": "#",
    "▏": "|", "▎": "|", "▍": "|", "▌": "|", "▋": "|", "░": ".", "▒": ":", "▓": "%",
}  # fmt: skip


def _table() -> dict[int, str]:
    """One ASCII sign for each sign that the app draws with."""
    table = dict.fromkeys(range(0x2500, 0x2580), "+")
    for signs, plain in (("─┄┈╌╴╶", "-"), ("━┅┉╍═╸╺╼╾", "="), ("│┃┆┇┊┋╎╏║╵╷╹╻╽╿", "|")):
        table |= dict.fromkeys(map(ord, signs), plain)
    table |= dict.fromkeys(range(0x2580, 0x25A0), "#")  # half blocks and quadrants
    table |= dict.fromkeys(range(0x2801, 0x2900), ".")  # braille
    table[0x2800] = " "
    table |= {ord(sign): plain for sign, plain in _SIGNS.items()}
    return table


ASCII = _table()


def is_ascii_only(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the locale says in so many words that it has no Unicode; no locale at all says nothing."""
    name = next((environment[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(key)), "")
    language, dot, charset = name.partition(".")
    if not dot:
        return language in ("C", "POSIX")
    return charset.partition("@")[0].lower().replace("-", "") != "utf8"


def to_ascii(text: str) -> str:
    """The text in signs that every terminal has, each as wide as what it stands for."""
    if text.isascii():
        return text
    plain = text.translate(ASCII)
    if plain.isascii():
        return plain
    from tui.words import cells

    return "".join(sign if sign.isascii() else "?" * cells(sign) for sign in plain)


def unusable() -> str | None:
    """Why the app cannot be shown here, in a sentence; None when it can."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout and sys.stdout.isatty()):
        return "there is no terminal here: use dltui run PRESET"
    if os.environ.get("TERM") in ("dumb", "unknown"):
        return f"this terminal (TERM={os.environ['TERM']}) cannot show the app: use dltui run PRESET"
    return None


def mend() -> None:
    """Puts the terminal back into a usable state, whatever an app that was killed left it in."""
    try:
        descriptor, own = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC), True
    except OSError:
        descriptor, own = sys.__stdin__.fileno() if sys.__stdin__ else 0, False
    try:
        with contextlib.suppress(termios.error):
            _make_sane(descriptor)
        with contextlib.suppress(OSError):
            os.write(descriptor if own else 1, MENDING.encode())
    finally:
        if own:
            os.close(descriptor)


def _make_sane(descriptor: int) -> None:
    """As ``stty sane`` does, for what matters at a prompt."""
    inputs, outputs, control, local, *speeds, characters = termios.tcgetattr(descriptor)
    inputs |= termios.ICRNL | termios.IXON
    inputs &= ~(termios.IGNCR | termios.INLCR | termios.IXOFF)
    outputs |= termios.OPOST | termios.ONLCR
    local |= termios.ICANON | termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ISIG | termios.IEXTEN
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSADRAIN, [inputs, outputs, control, local, *speeds, characters])
