"""Speed, measured by hand: ``python -m tests.benchmarks.NAME`` prints a table of ratios; LOG.md keeps them.

All contenders run with the threads of OpenMP asleep while they wait, as the trainer's do.
"""

from __future__ import annotations

from dlcore.launch import share_cores

share_cores()
