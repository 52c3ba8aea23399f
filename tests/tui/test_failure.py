"""Tracebacks for people: their own lines stay, the stretches between become one line."""

from __future__ import annotations

import traceback

import torch

import dlcore
from tui.commands.failure import shortened

LIBRARY = f'  File "{torch.__file__}", line 1, in call'
OURS = f'  File "{dlcore.__file__}", line 2, in step'
OWN = '  File "/home/me/net.py", line 8, in forward'


def test_only_the_user_s_calls_are_left() -> None:
    log = [
        *(
            "epoch 1",
            "Traceback (most recent call last):",
            OURS,
            "    self.loss()",
            LIBRARY,
            "    return f()",
        ),
        *(OWN, "    return x @ y", LIBRARY, "    raise", "RuntimeError: 3 and 4", "do not fit"),
    ]
    assert shortened(log) == [
        "Traceback (most recent call last):",
        "  (2 calls of dltui and libraries)",
        *(
            OWN,
            "    return x @ y",
            "  (1 call of dltui and libraries)",
            "RuntimeError: 3 and 4",
            "do not fit",
        ),
    ]


def test_the_last_traceback_counts() -> None:
    header = "Traceback (most recent call last):"
    log = [header, OWN, "    a", "ValueError: first", "", header, OWN, "    b", "ValueError: second"]
    assert shortened(log) == [header, OWN, "    b", "ValueError: second"]


def test_a_log_without_a_traceback_has_nothing_to_show() -> None:
    assert shortened(["all is well"]) == []


def test_a_real_traceback_of_this_python_is_understood() -> None:
    try:
        torch.nn.Linear(2, 3)(torch.ones(5))
    except RuntimeError:
        log = traceback.format_exc().splitlines()
    shown = shortened(log)
    assert shown[1].startswith(f'  File "{__file__}"')
    assert "calls of dltui and libraries)" in shown[-2]
    assert shown[-1].startswith("RuntimeError: ")
