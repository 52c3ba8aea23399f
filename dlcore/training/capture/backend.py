"""What records a step and replays it. On a GPU that is a CUDA graph; nothing else here knows of CUDA.

A recorded step reads and writes fixed places in memory. Python does not run when it is replayed: whatever it
decided while the step was recorded stays decided.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

import torch

from dlcore.training.capture.marks import Moment

RELEASE = tuple(int(number) for number in torch.__version__.split(".")[:2])
"""Of torch."""


class Recorded(Protocol):
    """A recorded step.

    Attributes:
        outputs: what the step returned when it was recorded; `replay` writes new numbers into the same tensors.
    """

    outputs: Any

    def replay(self) -> None:
        """Make the step once more, without waiting for it."""


class Backend(Protocol):
    """Records steps."""

    def aside(self, step: Callable[[], None]) -> None:
        """Make a step for real, where steps will be recorded: kernels are chosen and workspaces made."""

    def record(self, step: Callable[[], Any]) -> Recorded:
        """Record a step, which is not made.

        Raises:
            RuntimeError: it cannot be recorded; afterwards steps can be made as if nothing had been tried.
        """

    def moment(self) -> Moment:
        """What notes the time at a point of a recorded step."""


class CudaGraph:
    """One step as a CUDA graph, with the memory that it works in."""

    def __init__(self, graph: torch.cuda.CUDAGraph, outputs: Any) -> None:
        self._graph, self.outputs = graph, outputs
        self.replay = graph.replay


class CudaGraphs:
    """CUDA graphs of one device.

    Steps are tried on the side stream that records them: what autograd and cuBLAS remember by stream is then
    made before a recording forbids making it. Other threads, such as the one that writes checkpoints, may go on
    while a step is recorded, hence ``thread_local``.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        # Steps never run beside each other, so they may work in the same memory; what one leaves behind is kept apart.
        self._pool: Any = None
        self._alive: WeakSet[CudaGraph] = WeakSet()
        self._broken_off: list[torch.cuda.CUDAGraph] = []

    def aside(self, step: Callable[[], None]) -> None:
        """On the side stream, which waits for what was queued before, and is waited for."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                step()
        finally:
            current.wait_stream(self._stream)

    def record(self, step: Callable[[], Any]) -> CudaGraph:
        """Random numbers of the device's own generator go on from replay to replay as they would have anyway."""
        current = torch.cuda.current_stream(self._device)
        generator = torch.cuda.default_generators[current.device_index]
        before, graph = generator.clone_state(), torch.cuda.CUDAGraph()
        if not self._alive:  # memory that no recording works in any more cannot be taken up again
            self._pool = torch.cuda.graph_pool_handle()
        pool = self._pool
        try:
            with torch.cuda.graph(graph, pool, self._stream, capture_error_mode="thread_local"):
                outputs = step()
        except BaseException:
            self._clear_up(graph, pool)
            torch.cuda.set_stream(current)  # which a recording that broke off has left on its own
            if not self._draws(generator):
                generator.graphsafe_set_state(before)
            raise
        recorded = CudaGraph(graph, outputs)
        self._alive.add(recorded)
        return recorded

    def moment(self) -> torch.cuda.Event:
        """An event of the host's: one that belongs to the graph alone could not be read."""
        return torch.cuda.Event(enable_timing=True, external=True)

    def _draws(self, generator: torch.Generator) -> bool:
        """Whether it is free to: before torch 2.12 it goes on counting for a recording that broke off.

        A state of its own is its way out, and not for nothing: recordings that there are draw from the one before.
        """
        offset = generator.get_offset()
        try:
            torch.rand(1, device=self._device, generator=generator)
        except RuntimeError:
            return False
        generator.set_offset(offset)
        return True

    def _clear_up(self, graph: torch.cuda.CUDAGraph, pool: Any) -> None:
        """What a recording that broke off may not have got round to: memory is taken as usual again."""
        index = self._device.index if self._device.index is not None else torch.cuda.current_device()
        with suppress(RuntimeError, AttributeError):
            torch._C._cuda_endAllocateToPool(index, pool)
        try:
            graph.pool()
        except RuntimeError:  # it was not even ended: allocators may still ask it whether it records
            self._broken_off.append(graph)
            if RELEASE < (2, 14):  # until then nobody gives its memory back (pytorch #190308)
                with suppress(RuntimeError, AttributeError):
                    torch._C._cuda_releasePool(index, pool)
