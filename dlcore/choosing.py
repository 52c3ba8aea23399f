"""What a preset leaves to be measured: batch size, loading processes, threads, memory order of images.

Trials train copies of the parts and leave the random generators as they were. What came out is kept with the run: a
resumed training does not choose anew, since its batches and its last digits depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from dlcore.bench.loops import Bare
from dlcore.bench.turns import take_turns
from dlcore.cores import usable_cores
from dlcore.data.memory import free_memory
from dlcore.data.placing import sizes_of
from dlcore.data.spec import TensorPart
from dlcore.errors import UserError
from dlcore.inspection.through_loss import batch_of
from dlcore.opening import Opened
from dlcore.step_cost import UNSEEN, Plan, beside_batch, memory_of_step
from dlcore.training.outcome import OUT_OF_MEMORY
from dlcore.training.precision import set_up_backends
from dlcore.training.progress import rng_state, set_rng_state
from dlcore.training.trouble import is_out_of_memory

KEYS = ("batch_size", "accumulate", "workers", "threads", "channels_last")
"""Of the training section: what may be chosen here, in the order in which it is."""

TRIAL = 0.6
"""Seconds that settings take turns for."""

GAIN = 1.05
"""Another setting than the usual one is taken where it is faster by more than this."""

OF_MEMORY = 0.8
"""Share of the free memory that a step may be expected to take: a trial must not end the machine's other work."""


def choose(opened: Opened, known: Mapping[str, Any]) -> tuple[Opened, dict[str, Any]]:
    """Everything that is still "auto", measured.

    Args:
        opened: not furnished yet.
        known: what was chosen when the run began; it is taken as it is.

    Returns:
        The parts with a preset that says it all, and what was chosen, by key of the training section.

    Raises:
        UserError: not even one sample fits in memory.
    """
    chosen: dict[str, Any] = {key: known[key] for key in KEYS if key in known}
    opened = _with(opened, chosen, dict.fromkeys(chosen, "as when the run began"))
    before, threads = rng_state(), torch.get_num_threads()
    try:
        for find in (_batch_size, _workers, _threads, _channels_last):
            found, reason = find(opened)
            opened = _with(opened, found, dict.fromkeys(found, reason))
            chosen |= found
    finally:
        set_rng_state(before)
        torch.set_num_threads(threads)
        set_up_backends(opened.preset.training, opened.device)
    return opened, chosen


def _with(opened: Opened, found: Mapping[str, Any], reasons: Mapping[str, str]) -> Opened:
    if not found:
        return opened
    said = {key: f"{_said(found[key])} ({reasons[key]})" for key in found}
    return replace(
        opened,
        preset=opened.preset.with_training(**found),
        choices={**opened.choices, **said},
    )


def _said(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _batch_size(opened: Opened) -> tuple[dict[str, Any], str]:
    """The largest part of the effective batch that fits."""
    training = opened.preset.training
    if training.batch_size != "auto":
        return {}, ""
    wanted = min(training.effective_batch, max(1, len(opened.parts.data.train)))
    fits = Fits(opened)
    batch = largest_part(wanted, fits)
    if batch is None:
        raise UserError(OUT_OF_MEMORY)
    parts = wanted // batch
    needs = fits.expected(batch)
    told = f" about {needs / 2**20:,.1f} MiB of {fits.free / 2**20:,.0f} free," if needs else ""
    reason = f"fits in memory,{told} tried out; {wanted} a step"
    if parts > 1:
        reason = f"more do not fit in memory; {parts} times, so that a step learns from {wanted}"
    return {"batch_size": batch, "accumulate": parts}, reason


def largest_part(whole: int, fits: Callable[[int], bool]) -> int | None:
    """The largest divisor of a batch that fits, if any does; asks a few times the logarithm of their number.

    Whatever is not larger than something that fits is taken to fit as well.
    """
    divisors = [size for size in range(1, whole + 1) if whole % size == 0]
    low, high = -1, len(divisors)  # the largest known to fit, the smallest known not to
    probe = len(divisors) - 1  # most batches fit as a whole
    while high - low > 1:
        if fits(divisors[probe]):
            low = probe
        else:
            high = probe
        probe = (low + high) // 2
    return divisors[low] if low >= 0 else None


class Fits:
    """Whether a step with so many samples fits in memory: first as expected, which takes none, then by making it.

    Args:
        limit: bytes that it may take; what is free when left out.

    Attributes:
        free: bytes on the device, before anything was tried.
    """

    def __init__(self, opened: Opened, limit: float | None = None) -> None:
        self.opened, self.free = opened, free_memory(opened.device)
        self.limit = OF_MEMORY * self.free if limit is None else limit
        self._sizes = sizes_of(opened.parts.data.train)

    def __call__(self, batch: int) -> bool:
        """Leaves nothing of the trial in memory."""
        return UNSEEN * self.expected(batch) <= self.limit and self._goes_through(batch)

    def expected(self, batch: int) -> int:
        """Bytes of a step at its peak; 0 where only making it can tell."""
        opened = self.opened
        one = opened.preset.with_training(batch_size=batch, accumulate=1)
        kept = beside_batch(self._sizes, one.training, opened.device, self.free)
        shape = batch_of(opened.parts.data.spec, batch)
        plan = Plan.of(one, opened.precision)
        split = memory_of_step(plan, opened.parts.task, shape, beside=kept, really=False)
        return 0 if split is None else split.peak

    def _goes_through(self, batch: int) -> bool:
        training = {"batch_size": batch, "accumulate": 1, "workers": 0, "compile": False}
        ran_out = False
        try:
            with closing(bare_loop(self.opened, training)) as loop:
                loop.advance(1)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            ran_out = True  # its tensors go when the exception does
        if self.opened.device.type == "cuda":
            torch.cuda.empty_cache()
        return not ran_out


def _workers(opened: Opened) -> tuple[dict[str, Any], str]:
    """As many loading processes as it takes to keep up with the steps."""
    if opened.preset.training.workers != "auto":
        return {}, ""
    part, cores = opened.parts.data.train, usable_cores()
    if isinstance(part, TensorPart):
        return {"workers": 0}, "the data is in memory"
    if opened.parts.data.spec.target == "reward":
        return {"workers": 0}, "the environment is played in the training process"
    if cores < 2:
        return {"workers": 0}, "there is one core"
    with closing(bare_loop(opened, {"workers": 0, "compile": False})) as loop:
        loop.advance(1)
        together = min(loop.advance(1).seconds for _ in range(3))
        loading = min(loop.load() for _ in range(3))
    return workers_for(loading, max(together - loading, 1e-6), cores)


def workers_for(loading: float, step: float, cores: int) -> tuple[dict[str, Any], str]:
    """From the seconds of loading a batch and of the step with it."""
    measured = f"loading a batch takes {loading * 1e3:.3g} ms, the step {step * 1e3:.3g} ms"
    if loading < 0.05 * step:
        return {"workers": 0}, measured
    # One process more than keeps up on average: batches are not equally dear.
    return {"workers": min(math.ceil(loading / step) + 1, max(1, cores - 1), 16)}, measured


def _threads(opened: Opened) -> tuple[dict[str, Any], str]:
    """The fastest number of threads."""
    if opened.preset.training.threads != "auto":
        return {}, ""
    usual, cores = torch.get_num_threads(), usable_cores()
    if opened.device.type != "cpu":
        return {"threads": 0}, "the GPU computes"
    numbers = sorted({1, max(1, cores // 2), cores, usual})
    settings = {str(number): {"threads": number} for number in numbers}
    best, reason = _fastest(opened, settings, str(usual))
    return {"threads": int(best)}, reason


def _channels_last(opened: Opened) -> tuple[dict[str, Any], str]:
    if opened.preset.training.channels_last != "auto":
        return {}, ""
    if not any(isinstance(module, nn.Conv2d) for module in opened.parts.task.model.modules()):
        return {"channels_last": False}, "there are no convolutions over images"
    best, reason = _fastest(opened, {"off": {"channels_last": False}, "on": {"channels_last": True}}, "off")
    return {"channels_last": best == "on"}, reason


def _fastest(opened: Opened, settings: Mapping[str, Mapping[str, Any]], usual: str) -> tuple[str, str]:
    """Which of several settings trains fastest, in turns; the usual one unless another is clearly faster."""
    loops = {name: bare_loop(opened, {**setting, "compile": False}) for name, setting in settings.items()}
    usual_threads = torch.get_num_threads()
    numbers = {name: int(setting.get("threads") or usual_threads) for name, setting in settings.items()}

    def turn(name: str) -> float:
        with _threads_at(numbers[name]):
            return loops[name].advance(steps).samples_per_second

    try:
        for name, loop in loops.items():
            with _threads_at(numbers[name]):
                loop.advance(1)
        with _threads_at(numbers[usual]):
            step = loops[usual].advance(1).seconds
        steps = max(1, round(TRIAL / 10 / step))
        turns = {name: (lambda name=name: turn(name)) for name in loops}
        rounds = take_turns(turns, TRIAL, least=3, most=9)
    finally:
        for loop in loops.values():
            loop.close()
    ratios = {name: rounds.ratio(name, to=usual).median for name in loops}
    best = max(ratios, key=ratios.__getitem__)
    best = best if ratios[best] > GAIN else usual
    others = ", ".join(
        f"{name}: {ratio / ratios[best]:.2f}×" for name, ratio in ratios.items() if name != best
    )
    return best, f"measured; {others} the speed" if others else "measured"


@contextmanager
def _threads_at(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def bare_loop(opened: Opened, training: Mapping[str, Any]) -> Bare:
    """A loop over a copy of the parts, with some settings changed and the rest as usual where not chosen yet."""
    section = opened.preset.training
    usual = {"batch_size": section.batch, "workers": section.loaders}
    usual |= {"channels_last": section.channels_last is True}
    usual |= {"threads": 0 if section.threads == "auto" else section.threads}
    changed = replace(opened, preset=opened.preset.with_training(**{**usual, **training}))
    return Bare(changed.copy().furnish())
