"""Prints the table of hits and false alarms when the tests that fill it are over."""

from __future__ import annotations

from typing import Any

from tests.core.doctor import table


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """All rows that were made, whether or not they are right."""
    if table.NOTED:
        terminalreporter.section("the doctor: hits and false alarms")
        for line in table.summary(table.NOTED):
            terminalreporter.line(line)
