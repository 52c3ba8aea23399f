"""Watches one forward pass: which module is running, what it computes, what it keeps for backward.

Three of torch's own mechanisms, all limited to this thread and this model: a hook on each module, a dispatch
mode that sees every elementary operation and counts its FLOPs, and the hooks for tensors that autograd saves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from dlcore.inspection.facts import Facts
from dlcore.inspection.nested import tensor_infos, tensors_in
from dlcore.inspection.records import Row, TensorInfo
from dlcore.inspection.sources import Site, running_site


@dataclass
class Call:
    """A module call, from its start on; FLOPs and bytes are its own, without those of calls inside."""

    module: nn.Module
    path: str
    depth: int
    inputs: tuple[TensorInfo, ...]
    reused: bool
    outputs: tuple[TensorInfo, ...] = ()
    calls_others: bool = False
    finished: bool = False
    parameters: int = 0
    shared: int = 0
    flops: int = 0
    saved_bytes: int = 0
    receptive: tuple[int, ...] = ()
    site: Site | None = None
    given: tuple[Tensor, ...] = ()  # what it was called with, while it runs
    facts: Facts | None = None

    def row(self) -> Row:
        """The call as plain data."""
        return Row(
            path=self.path,
            type=type(self.module).__name__,
            depth=self.depth,
            leaf=not self.calls_others,
            inputs=self.inputs,
            outputs=self.outputs,
            parameters=self.parameters,
            shared=self.shared,
            flops=self.flops,
            activation_bytes=self.saved_bytes,
            reused=self.reused,
            receptive=self.receptive,
            source=self.site.source() if self.site else None,
        )

    @property
    def is_worth_a_row(self) -> bool:
        """Finished, and a layer or a module with work of its own; placeholders do nothing."""
        if isinstance(self.module, nn.Identity) or (
            isinstance(self.module, nn.Sequential) and not len(self.module)
        ):
            return False
        own_work = self.parameters or self.flops or self.saved_bytes
        return self.finished and (not self.calls_others or bool(own_work))


@dataclass
class Recorder:
    """Context manager around the forward pass; `calls` lists the module calls in the order they started.

    Args:
        owned: the tensors that stand for the model's parameters and buffers; they are no activations.

    Attributes:
        facts: what is known of the tensors beyond their shapes.
        flops: of all calls so far.
    """

    model: nn.Module
    owned: Iterable[Tensor]
    facts: Facts = field(default_factory=Facts)
    flops: int = 0
    calls: list[Call] = field(default_factory=list)
    _open: list[Call] = field(default_factory=list)
    _called: set[nn.Module] = field(default_factory=set)
    _counted: set[int] = field(default_factory=set)
    _saved: dict[int, Any] = field(default_factory=dict)  # keeps storages alive: ids must stay unique
    _times: int = 1
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Recorder:
        for tensor in self.owned:
            self._remember(tensor)
        for path, module in self.model.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):
                self._hook(path, module)
        self._stack.enter_context(saved_tensors_hooks(self._save, lambda tensor: tensor))
        self._stack.enter_context(_FlopCounter(self._add_flops))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def running(self) -> Call | None:
        """The innermost call that has not finished."""
        return self._open[-1] if self._open else None

    def unused(self, parameters: Mapping[str, Tensor]) -> list[str]:
        """Names of the parameters that belong to no module that was called; scripted ones cannot be watched."""
        unseen = tuple(
            f"{path}." if path else ""
            for path, module in self.model.named_modules()
            if isinstance(module, torch.jit.ScriptModule)
        )
        return [
            name
            for name, parameter in parameters.items()
            if isinstance(parameter, nn.Parameter)
            and id(parameter) not in self._counted
            and not (unseen and name.startswith(unseen))
        ]

    def keep(self, tensor: Tensor) -> None:
        """Counts a tensor among those that the running call saves for backward, if it does save any."""
        if torch.is_grad_enabled():
            self._save(tensor)

    @contextmanager
    def repeated(self, times: int) -> Iterator[None]:
        """What is computed and saved inside counts that many times."""
        self._times = times
        try:
            yield
        finally:
            self._times = 1

    def _hook(self, path: str, module: nn.Module) -> None:
        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
            self._enter(path, module, (args, kwargs))

        def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            self._leave(module, output)

        before = module.register_forward_pre_hook(enter, prepend=True, with_kwargs=True)
        after = module.register_forward_hook(leave, with_kwargs=True)
        self._stack.callback(before.remove)
        self._stack.callback(after.remove)

    def _enter(self, path: str, module: nn.Module, arguments: Any) -> None:
        if self._open:
            self._open[-1].calls_others = True
        call = Call(module, path, len(self._open), tensor_infos(arguments), module in self._called)
        call.site, call.facts = running_site(), self.facts
        call.given = tuple(tensors_in(arguments))
        self._called.add(module)
        self.calls.append(call)
        self._open.append(call)

    def _leave(self, module: nn.Module, output: Any) -> None:
        call = self._open.pop()
        while call.module is not module:  # a call inside raised, and the model's code caught it
            call = self._open.pop()
        call.outputs = tensor_infos(output)
        if isinstance(output, Tensor):
            call.receptive = tuple(math.ceil(view.size) for view in self.facts.field(output))
        call.finished, call.given = True, ()
        for parameter in module.parameters(recurse=not call.calls_others):
            if id(parameter) in self._counted:
                call.shared += parameter.numel()
            else:
                call.parameters += parameter.numel()
                self._counted.add(id(parameter))

    def _add_flops(self, flops: int) -> None:
        self.flops += flops * self._times
        if self._open:
            self._open[-1].flops += flops * self._times

    def _save(self, tensor: Tensor) -> Tensor:
        """Called by autograd for each tensor that backward will need; a storage counts once, and whole."""
        new_bytes = self._remember(tensor)
        if self._open:
            self._open[-1].saved_bytes += new_bytes * self._times
        return tensor

    def _remember(self, tensor: Tensor) -> int:
        """Bytes of the tensor's storage if it is new."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._saved:
            return 0
        self._saved[key] = storage
        return int(storage.nbytes())


class _FlopCounter(TorchDispatchMode):
    """Counts with torch's own formulas, those behind `torch.utils.flop_counter.FlopCounterMode`."""

    def __init__(self, add: Callable[[int], None]) -> None:
        super().__init__()
        self.add = add

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.add(int(formula(*args, **(kwargs or {}), out_val=output)))
        return output
