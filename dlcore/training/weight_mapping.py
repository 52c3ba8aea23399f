"""Weights of one network put into another: by name and shape, with a table of what went where and why not.

Nothing is guessed silently: each tensor of the model is loaded or new, each of the file used or left over, and
for all that is not loaded there is a reason in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from dlcore.errors import UserError
from dlcore.text_safety import safe_text

WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and torch.compile put before every name
COUNTERS = ("num_batches_tracked",)  # old files have none, and nothing depends on them
RESET = "starts new, as told"
NAMED = 3
MOST_PARTS = 12


@dataclass(frozen=True)
class Loaded:
    """What became of every tensor.

    Attributes:
        source: where they are from, for people.
        loaded: names of the model's tensors that were filled, each with a remark that is mostly empty.
        new: names of the model's other tensors, which keep their random start, and why.
        unused: names of the source's tensors that went nowhere, and why.
    """

    source: str
    loaded: dict[str, str] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)

    def sentence(self) -> str:
        """The gist on one line."""
        count = len(self.loaded) + len(self.new)
        text = f"{len(self.loaded)} of {count} tensors from {self.source}"
        return f"{text}; new: {_few(list(self.new))}" if self.new else text

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        tables = {name: dict(getattr(self, name)) for name in ("loaded", "new", "unused")}
        return {"source": self.source, **tables, "sentence": self.sentence()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Loaded:
        """Inverse of `to_dict`."""
        tables = {name: dict(values[name]) for name in ("loaded", "new", "unused")}
        return cls(str(values["source"]), **tables)


def load_into(
    model: nn.Module, given: Mapping[str, Tensor], source: str, *, reset: Collection[str] = ()
) -> Loaded:
    """Fill the model's tensors with those that fit them, but for the names in ``reset``.

    A name has to agree, after wrappers and one common prefix have been taken off, and so has the shape. Where no
    name at all agrees but all shapes do, one after another, they are taken in order. A filter bank over colours
    serves a grey image added up over its colours.

    Raises:
        UserError: nothing fits, or the numbers are not finite.
    """
    wanted = {name: tensor for name, tensor in model.state_dict().items() if not is_lazy(tensor)}
    renamed = _renamed(given, wanted)
    remarks = {name: name if renamed[name] != name else "" for name in renamed}
    by_name = {ours: theirs for theirs, ours in renamed.items()}
    table = Loaded(source)
    if not any(_fits(given[by_name[name]], own) for name, own in wanted.items() if name in by_name):
        by_name = _in_order(given, wanted)
        if not by_name:
            raise UserError(
                f"nothing in {source} fits this model: it holds {_few(list(given))}; "
                f"the model has {_few(list(wanted))}"
            )
        remarks = {theirs: theirs for theirs in by_name.values()}
    for name, own in wanted.items():
        theirs = by_name.get(name)
        if name in reset and theirs is not None:
            table.new[name] = RESET
        elif theirs is None:
            if not name.endswith(COUNTERS):
                table.new[name] = "not there"
        elif _fits(given[theirs], own):
            _fill(own, given[theirs], theirs, source)
            summed = given[theirs].shape != own.shape
            was = f"was {safe_text(remarks[theirs], limit=80)}" if remarks[theirs] else ""
            table.loaded[name] = "added up over colours" if summed else was
        else:
            table.new[name] = f"{_size(given[theirs])} there, {_size(own)} here"
    used = {by_name[name] for name in table.loaded}
    for theirs in given:
        if theirs not in used:
            ours = renamed[theirs]
            reason = RESET if ours in reset else "another shape" if ours in table.new else "no such name"
            table.unused[safe_text(theirs, limit=120)] = reason
    return table


def _fill(own: Tensor, theirs: Tensor, name: str, source: str) -> None:
    if theirs.is_floating_point() and not bool(theirs.isfinite().all()):
        raise UserError(
            f"{source} holds numbers that are not finite, in {safe_text(name, limit=80)}: not used"
        )
    with torch.no_grad():
        own.copy_(theirs.sum(1, keepdim=True) if theirs.shape != own.shape else theirs)


def _fits(theirs: Tensor, own: Tensor) -> bool:
    return theirs.shape == own.shape or _is_colour_of(theirs, own)


def _is_colour_of(theirs: Tensor, own: Tensor) -> bool:
    """Whether these are filters over three colours, where the model's are over grey."""
    colours, grey = list(theirs.shape), list(own.shape)
    return (
        len(grey) == 4
        and colours[1] == 3
        and grey[1] == 1
        and colours[:1] + colours[2:] == grey[:1] + grey[2:]
    )


def _renamed(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, str]:
    """For each given name, the name it stands for in the model."""
    plain = {name: _unwrapped(name) for name in given}
    theirs, ours = set(plain.values()), set(wanted)
    agree: Counter[tuple[str, str]] = Counter()  # names that agree after (a prefix there, a prefix here)
    agree["", ""] = len(theirs & ours)
    agree.update((name.removesuffix(end), "") for name in theirs for end in _ends(name) if end in ours)
    agree.update(("", name.removesuffix(end)) for name in ours for end in _ends(name) if end in theirs)
    (there, here), count = agree.most_common(1)[0]
    if count <= agree["", ""]:
        return plain
    return {
        name: here + text.removeprefix(there) if text.startswith(there) else text
        for name, text in plain.items()
    }


def _ends(name: str) -> list[str]:
    """``b.c`` and ``c`` of ``a.b.c``; of the first few parts only, as a crafted name may have any number."""
    parts = name.split(".", MOST_PARTS)
    return [".".join(parts[at:]) for at in range(1, len(parts))]


def _unwrapped(name: str) -> str:
    while (wrapper := next((w for w in WRAPPERS if name.startswith(w)), None)) is not None:
        name = name.removeprefix(wrapper)
    return name


def _in_order(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, str]:
    """Model's names to given ones where all shapes agree one after another; at most the last layer's may not."""
    ours = [name for name in wanted if not name.endswith(COUNTERS)]
    theirs = [name for name in given if not name.endswith(COUNTERS)]
    agree = [wanted[a].shape == given[b].shape for a, b in zip(ours, theirs, strict=False)]
    last = (
        {name for name in ours if name.rpartition(".")[0] == ours[-1].rpartition(".")[0]} if ours else set()
    )
    different = {name for name, same in zip(ours, agree, strict=False) if not same}
    if len(ours) != len(theirs) or not any(agree) or not different <= last:
        return {}
    return dict(zip(ours, theirs, strict=True))


def _few(names: list[str]) -> str:
    shown = ", ".join(safe_text(name, limit=60) for name in names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown or "nothing"


def _size(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"
