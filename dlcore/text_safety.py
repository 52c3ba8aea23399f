"""Makes untrusted text safe to print or to render.

Run names, class names, file names, log lines and exception texts may hold anything. What leaves
`safe_text` has no control character, no bidirectional control and nothing that cannot be encoded, so a
terminal shows it and never obeys it. Markup is not this module's matter: render the result as plain text.
"""

from __future__ import annotations

import re

# C0, DEL and C1 controls; line and paragraph separators; marks, embeddings, overrides and isolates of the
# bidirectional algorithm; lone surrogates, which no UTF-8 stream takes.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def safe_text(text: object, *, limit: int = 2000, newlines: bool = False) -> str:
    """Text as it may be shown: what a terminal would obey is spelled out (``\\x1b``, ``\\u202e``).

    Args:
        text: anything; bytes are read as UTF-8, an object whose own ``str`` fails is named by its type.
        limit: most characters of the result; a longer text is cut and ends in "…".
        newlines: keeps line breaks and turns tabs into four spaces, for text that fills several lines.
    """
    shown = _as_str(text)
    if len(shown) <= limit and shown.isprintable():  # the usual case, about 50 ns
        return shown
    cut = shown[: limit + 1]  # escapes only lengthen, so nothing behind this can be seen
    if newlines:
        cut = cut.replace("\r\n", "\n").replace("\t", "    ")
        escaped = "\n".join(_UNSAFE.sub(_spell, line) for line in cut.split("\n"))
    else:
        escaped = _UNSAFE.sub(_spell, cut)
    if len(shown) <= limit and len(escaped) <= limit:
        return escaped
    return escaped[: max(limit - 1, 0)] + "…" if limit > 0 else ""


def _as_str(text: object) -> str:
    if type(text) is str:
        return text
    if isinstance(text, bytes | bytearray):
        return text.decode("utf-8", "backslashreplace")
    try:
        return str(text)[:]  # a slice of a str subclass is a plain str
    except Exception:  # somebody else's __str__, which may raise anything
        return f"<{type(text).__name__} without a text>"


def _spell(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
