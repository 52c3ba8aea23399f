"""What a step frees serves the next one, and a choice that was made stays."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dlcore.training.heap import keep_freed_memory

FAULTS = """
import resource, sys
from dlcore.training.heap import keep_freed_memory
done = keep_freed_memory() if sys.argv[1] == "keep" else None
def step():
    pieces = [bytearray(b"1") * (12 << 20) for _ in range(4)]
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> tuple[str, int]:
    """Whether the library listened, and pages that came anew in ten steps of 48 MiB, 12,288 pages each."""
    answer = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    done, count = answer.stdout.split()
    return done, int(count)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is on Linux")
def test_memory_that_a_step_freed_needs_no_new_pages_in_the_next_one() -> None:
    done, kept = faults("keep")
    if done == "False":
        pytest.skip("another C library")
    assert kept < 12_288  # of one step, in ten
    assert faults("give back")[1] > 5 * kept  # or the choice would change nothing here


@pytest.mark.parametrize(
    "made",
    [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}],
)
def test_what_the_environment_says_stays(made: dict[str, str]) -> None:
    assert not keep_freed_memory(made)
