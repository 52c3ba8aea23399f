"""`dltui serve`: a run's network answers JSON on this machine."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from dlcore.errors import UserError
from dlcore.run_dir import RunDir
from dlcore.text_safety import safe_text
from tui.commands import own_code
from tui.commands.common import paint, runs_in

LOOPBACK = ("127.0.0.1", "::1", "localhost")
TOKEN = "DLTUI_TOKEN"


def serve(
    name: str | None, runs: Path | None, *, host: str, port: int, anywhere: bool, checkpoint: str
) -> None:
    """Serves until ctrl+c.

    Raises:
        UserError: no such run, an address that needs --anywhere, or one that is taken.
    """
    if host not in LOOPBACK and not anywhere:
        raise UserError(
            f"{safe_text(host)} can be reached from other machines; say --anywhere if that is meant"
        )
    run = RunDir.find(runs_in(runs), name)
    try:
        from dlcore.deploy import serving
    except ImportError as error:
        raise UserError(f"serving needs the package {error.name}: pip install 'dltui[serve]'") from error
    from dlcore import trained

    with own_code.running():
        found = trained.load(run, checkpoint)
    for note in found.notes:
        print(f"{paint('!', 'yellow', stream=sys.stderr)} {safe_text(note)}", file=sys.stderr)
    open_to_others = host not in LOOPBACK
    token = os.environ.get(TOKEN) or (secrets.token_urlsafe(24) if open_to_others else "")
    hosts = () if open_to_others else LOOPBACK  # the token keeps strangers out, whatever name they use
    service = serving.Service(found, serving.Limits(), token=token, hosts=hosts)

    def ready(address: str) -> None:
        print(f"{safe_text(run.name)} answers at {address}  (POST /predict; GET / shows an example)")
        if token and not os.environ.get(TOKEN):
            print(f"send this header: Authorization: Bearer {token}")
        print("ctrl+c ends it", flush=True)

    serving.run(service, host, port, ready)
