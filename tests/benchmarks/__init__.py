"""Speed, measured by hand: ``python -m tests.benchmarks.NAME`` prints a table of ratios; LOG.md keeps them.

All contenders' OpenMP threads wait for each other as a trainer's do: see `dlcore.cores`.
"""

from __future__ import annotations

from dlcore.cores import share_cores

share_cores()
