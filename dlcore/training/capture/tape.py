"""Whether a step does the same each time, seen from its elementary operations.

A recorded step repeats what was recorded, so a number that Python makes anew each time, a wait for the device or
a draw from the host's generator would be wrong without a word. Two steps are therefore watched before one is
recorded. What is not seen: Python that does something else only now and then.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SYNCHRONISES = "called a synchronizing CUDA operation"
"""What torch warns of where it is asked to; not every such operation does."""

SEEDED = torch.Tag.nondeterministic_seeded
WAITS = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)

COPIES = (torch.ops.aten._to_copy, torch.ops.aten.copy_)
INDEXING = (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_)
PLAIN = (bool, int, float, str, type(None))
SAID = (torch.dtype, torch.device, torch.layout, torch.memory_format)


class Tape(TorchDispatchMode):
    """The operations of a step, in order, on one device.

    Attributes:
        calls: name and arguments of each; of tensors their shape, type and place, of numbers the number.
        troubles: what cannot be recorded, in words, each once.
        waits: operations whose result the host has to wait for, by name.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.calls: list[tuple[Any, ...]] = []
        self.waits: list[str] = []
        self.troubles: dict[str, None] = {}
        self._seeds: dict[int, Tensor] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "profiler":
            return func(*args, **kwargs)
        given = tree_leaves((args, kwargs))
        self.calls.append((str(func), *map(self._described, given)))
        output = func(*args, **kwargs)
        self._judge(func, given, [each for each in tree_leaves(output) if isinstance(each, Tensor)])
        return output

    def _judge(self, func: Any, given: list[Any], made: list[Tensor]) -> None:
        tensors = [each for each in given if isinstance(each, Tensor)]
        if _asks(func, tensors):
            self.waits.append(str(func))
            self.troubles[f"{func} waits for its numbers"] = None
        if any(isinstance(each, torch.Generator) for each in given):
            self.troubles[f"{func} draws from a generator of its own"] = None
        if self.device.type == "cpu":
            return
        if SEEDED in func.tags and not self._drawn_there(made):
            self.troubles[f"{func} draws random numbers on the host"] = None
        copied = func._overloadpacket in COPIES  # of which even a single number travels
        places = {each.device.type for each in (*tensors, *made) if copied or each.dim() or not each.is_cpu}
        if len(places) > 1 and "meta" not in places:
            self.troubles[f"{func} copies between host and device"] = None

    def _drawn_there(self, made: list[Tensor]) -> bool:
        """Whether random numbers were drawn on the device.

        Attention then hands its backward pass a seed and an offset, as numbers on the host while nothing is recorded
        and on the device else: they are no numbers that Python made.
        """
        hosted = [each for each in made if each.is_cpu]
        if len(hosted) < len(made) and not any(each.dim() for each in hosted):
            self._seeds |= {each.data_ptr(): each for each in hosted}
            return True
        return not hosted

    def _described(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return (
                value if isinstance(value, PLAIN) else str(value) if isinstance(value, SAID) else type(value)
            )
        if value.is_cpu and not value.dim() and self.device.type != "cpu":
            if value.data_ptr() in self._seeds:
                return value.dtype, "seed"
            return value.dtype, value.item()  # the host hands its number to the kernel
        return value.dtype, tuple(value.shape), value.device.type


def _asks(func: Any, tensors: list[Tensor]) -> bool:
    """Whether the host has to know the numbers of a tensor, or how many there are."""
    if func._overloadpacket in INDEXING:  # by yes and no: how many there are is found out on the way
        return any(each.dtype in (torch.bool, torch.uint8) for each in tensors[1:] if each.dim())
    return any(tag in func.tags for tag in WAITS)


@contextmanager
def taped(tape: Tape) -> Iterator[None]:
    """Watches what is computed inside; on CUDA also what torch itself knows to wait for the device."""
    if tape.device.type != "cuda":
        with tape:
            yield
        return
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with tape:
                yield
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    if any(SYNCHRONISES in str(each.message) for each in said) and not tape.troubles:
        tape.troubles["something in the step waits for the device"] = None


def why_not(first: Tape, second: Tape) -> str:
    """Why the step of two tapes cannot be recorded; "" when nothing speaks against it."""
    troubles = first.troubles | second.troubles
    if troubles:
        return next(iter(troubles))
    for before, after in zip(first.calls, second.calls, strict=False):
        if before != after:
            return f"{after[0]} is called otherwise in each step"
    if len(first.calls) != len(second.calls):
        return f"a step has {len(first.calls)} operations and the next {len(second.calls)}"
    return ""
