"""What viewer and engine say to each other: one JSON object a line, each at most `LINE_LIMIT` bytes.

The viewer asks ``{"id": 7, "ask": "shapes", ...}``. The engine says, in any number and order,

- ``{"hello": 1}`` at once, with the protocol's version; ``{"ready": true}`` when torch is loaded, or
  ``{"failed": [line, ...]}`` when it cannot be, and ends;
- ``{"working": 7}`` when it begins with a question;
- ``{"id": 7, "answer": ...}`` or ``{"id": 7, "error": [line, ...]}``; an answer with ``"more": true`` will be
  followed by a better one, unasked;
- ``{"id": 7, "superseded": true}`` for a question that a newer one of its kind has replaced.
"""

from __future__ import annotations

from collections.abc import Iterator

VERSION = 1
LINE_LIMIT = 4 << 20
LONGEST_WAIT = 20.0  # seconds that one question may take before the viewer gives the engine up


class Lines:
    """Puts chunks of bytes together to lines; memory stays bounded whatever comes."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self.limit = limit
        self.skipped = 0
        self._rest = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Whole lines without their ends; a line beyond the limit is left out and counted."""
        self._rest += data
        while (end := self._rest.find(b"\n")) >= 0:
            line = bytes(self._rest[:end])
            del self._rest[: end + 1]
            if self._skipping or len(line) > self.limit:
                self.skipped += not self._skipping
                self._skipping = False
            elif line.strip():
                yield line
        if len(self._rest) > self.limit:
            self.skipped += not self._skipping
            self._skipping = True
            self._rest.clear()
