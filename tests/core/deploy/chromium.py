"""A page opened in headless Chromium: what it asked for and what it complained of, told by the browser itself.

The DevTools protocol goes through two pipes, so nothing listens; no name is resolved, so nothing leaves the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
)  # fmt: skip
WATCHED = ("Network", "Log", "Runtime", "Page")


class Seen(NamedTuple):
    """What became of a page.

    Attributes:
        requests: addresses that it asked for, itself the first; what is written in it is no request.
        complaints: lines of the console, exceptions, refusals of its policy.
    """

    requests: list[str]
    complaints: list[str]


class Browser:
    """One Chromium and its pipes."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, "chromium", CHROMIUM, *OPTIONS, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._rest = b""
        self._asked = 0
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Sends a command and gives its result; events that come meanwhile are kept."""
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": params}
        os.write(
            self._out, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        )
        for heard in self._messages():
            if heard.get("id") == self._asked:
                assert "error" not in heard, heard
                return heard["result"]  # type: ignore[no-any-return]
            self.events.append(heard)
        raise AssertionError("Chromium ended")

    def wait(self, event: str) -> None:
        """Until it has happened."""
        if not any(each.get("method") == event for each in self.events):
            for heard in self._messages():
                self.events.append(heard)
                if heard.get("method") == event:
                    return

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" not in self._rest:
                chunk = os.read(self._in, 1 << 16)
                if not chunk:
                    return
                self._rest += chunk
            line, _, self._rest = self._rest.partition(b"\0")
            yield json.loads(line)

    def close(self) -> None:
        """Ends it."""
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        self._process.wait(30)


def look(page: Path, profile: Path) -> Seen:
    """Opens a page, waits until it is loaded, and tells."""
    browser = Browser(profile)
    try:
        target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in WATCHED:
            browser.ask(f"{domain}.enable", session)
        browser.ask("Page.navigate", session, url=page.as_uri())
        browser.wait("Page.loadEventFired")
        # A picture of it makes sure that all of it was laid out and painted.
        browser.ask("Page.captureScreenshot", session, captureBeyondViewport=True)
        return Seen(*map(list, (_requests(browser.events), _complaints(browser.events))))
    finally:
        browser.close()


def _requests(events: list[dict[str, Any]]) -> Iterator[str]:
    for event in events:
        if event.get("method") == "Network.requestWillBeSent":
            url = event["params"]["request"]["url"]
            if not url.startswith("data:"):
                yield url


def _complaints(events: list[dict[str, Any]]) -> Iterator[str]:
    for event in events:
        if event.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            yield json.dumps(event["params"])
