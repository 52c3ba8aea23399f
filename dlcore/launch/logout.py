"""Whether a detached worker outlives the user's logout, which systemd-logind may decide otherwise.

A process in a new session stays in logind's cgroup of the login it came from. With KillUserProcesses=yes
that cgroup is killed at logout. A scope under the user's own service manager escapes that, but the manager
itself ends with the last login unless lingering is on; then a scope would end what a plain session
process survives. So the scope is used exactly where lingering is on, and elsewhere there is a warning if
logind kills. Outside a login session (containers, services, other init systems) nothing is needed.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

_LINGER = Path("/var/lib/systemd/linger")
_CGROUP = Path("/proc/self/cgroup")


def scope_prefix(run_name: str) -> list[str]:
    """Command line before the worker's that moves it out of the login session; empty where not useful."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    program = shutil.which("systemd-run")
    if not (program and runtime and Path(runtime, "bus").exists() and _in_login_session() and _lingers()):
        return []
    return [program, "--user", "--scope", "--quiet", "--collect", f"--description=dltui run {run_name}", "--"]


def survival_warning() -> str | None:
    """A sentence when logging out would end detached workers, else None. Asks logind, at most 2 s."""
    if not _in_login_session() or _lingers() or not _logind_kills():
        return None
    return (
        "this machine ends all your processes when you log out (KillUserProcesses): "
        "so that training goes on, run once: loginctl enable-linger"
    )


def _in_login_session() -> bool:
    try:
        return re.search(r"/session-[^/]+\.scope", _CGROUP.read_text()) is not None
    except OSError:
        return False


def _lingers() -> bool:
    try:
        return (_LINGER / pwd.getpwuid(os.getuid()).pw_name).exists()
    except (KeyError, OSError):
        return False


def _logind_kills() -> bool:
    program = shutil.which("busctl")
    if not program:
        return False
    name, path = "org.freedesktop.login1", "/org/freedesktop/login1"
    question = [program, "get-property", name, path, f"{name}.Manager", "KillUserProcesses"]
    try:
        answer = subprocess.run(question, stdin=subprocess.DEVNULL, capture_output=True, timeout=2.0)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() == b"b true"
