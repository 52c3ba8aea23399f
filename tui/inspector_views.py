"""What the inspector shows of a layer, as lines: statistics and histograms, maps, slices, points.

Pure: what to draw comes as `Inspection`s and arrays that have been read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tui import heat, inspection, words
from tui.inspection import Inspection
from tui.plain_data import number
from tui.widgets.gauge import FULL, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.heat import Array, Line

View = Literal["statistics", "activation", "gradient", "weight", "filters", "attention", "embedding"]
VIEWS: tuple[tuple[View, str], ...] = (
    ("statistics", "s"),
    ("activation", "a"),
    ("gradient", "b"),
    ("weight", "w"),
    ("filters", "f"),
    ("attention", "m"),
    ("embedding", "e"),
)
NOTHING = {
    "activation": "No values of this layer's output were kept.",
    "gradient": "No gradient reached this layer.",
    "weight": "This layer has no weights.",
    "filters": "The first layer does not read pictures.",
    "attention": "This network has no attention.",
    "embedding": "There is no linear layer that reads vectors, so there is nothing to project.",
}
LEAST_BAR = 6
BROADEST_BAR = 3  # columns of a histogram's bin


@dataclass(frozen=True)
class Choice:
    """What is to be seen.

    Attributes:
        view: which kind of view.
        layer: row of the layer.
        numbers: values as numbers instead of colours alone.
        indices: position along each axis that is not shown, from the first.
        turned: how often the axes were moved on: 0 shows the last two.
    """

    view: View = "statistics"
    layer: int = 0
    numbers: bool = False
    indices: tuple[int, ...] = ()
    turned: int = 0

    def moved(self, hidden: int, by: int) -> Choice:
        """One further along a hidden axis."""
        indices = [*self.indices, *[0] * (hidden + 1 - len(self.indices))]
        indices[hidden] = max(0, indices[hidden] + by)
        return replace(self, indices=tuple(indices))


def array_for(look: Inspection, choice: Choice) -> str:
    """Name of the array that a view is made of; "" for none."""
    entry = look.entries[choice.layer] if choice.layer < len(look.entries) else {}
    match choice.view:
        case "activation" | "gradient" | "weight":
            return inspection.array_name(entry, choice.view)
        case "filters" | "embedding":
            return inspection.view_array(look, choice.view)
        case "attention":
            maps = inspection.attention_names(look)
            own = next(
                (name for path, name in maps if path and str(entry.get("path", "")).startswith(path)), ""
            )
            return own or (maps[0][1] if maps else "")
    return ""


def lines(
    look: Inspection,
    choice: Choice,
    array: Array | None,
    width: int,
    height: int,
    palette: heat.Palette = heat.DARK,
) -> list[Line]:
    """The view, at most ``width`` columns wide."""
    if choice.view == "statistics":
        return statistics(look, choice.layer, width)
    if array is None or not array.size:
        return [[Part(line, "quiet")] for line in _wrapped(NOTHING[choice.view], width)]
    if choice.view == "embedding" and array.ndim == 2:
        return embedding(look, array, width, height, palette)
    if choice.view == "filters" and array.ndim == 4:
        return [
            heat.scale(array, width, palette),
            [],
            *heat.grid(
                array[:, choice.indices[0] % array.shape[1] if choice.indices else 0], width, palette=palette
            ),
        ]
    return tensor(look, choice, array, width, palette)


def statistics(look: Inspection, layer: int, width: int) -> list[Line]:
    """Every tensor of a layer: figures, and a histogram between its extremes."""
    if layer >= len(look.entries):
        return []
    entry = look.entries[layer]
    page: list[Line] = []
    for name, table in inspection.tables(entry):
        page += [[Part(name, "strong")], *_figures(table, width)]
        counts = inspection.histogram(table)
        if counts:
            broad = max(1, min(BROADEST_BAR, (width - 2) // len(counts)))
            low, high = words.metric(number(table, "min")), words.metric(number(table, "max"))
            for bar in heat.bars(counts):
                page.append([Part("  "), Part("".join(sign * broad for sign in bar), "primary")])
            page.append([Part(f"  {low}{high:>{max(1, broad * len(counts) - words.cells(low))}}", "quiet")])
        page.append([])
    ratio = inspection.update_ratio(entry)
    if ratio is not None:
        said = "" if 1e-4 <= ratio <= 1e-1 else "  far from the usual 0.001"
        page.append(
            [Part(f"the last step moved the weights by {ratio:.2g} of their length"), Part(said, "warning")]
        )
    return page


def _figures(table: Any, width: int) -> list[Line]:
    names = ("mean", "std", "min", "max", "norm")
    pairs = [
        f"{name} {words.metric(number(table, name))}" for name in names if number(table, name) is not None
    ]
    shares = [
        f"{said} {share:.1%}"
        for said, share in (
            ("zeros", number(table, "zeros")),
            ("dead units", number(table, "dead")),
            ("saturated", number(table, "saturated")),
        )
        if share is not None
    ]
    page: list[Line] = [[Part(f"  {line}")] for line in _flowed([*pairs, *shares], width - 2)]
    bad = number(table, "nonfinite")
    return [*page, [Part(f"  ✗ {words.count(bad)} are no numbers", "error")]] if bad else page


def tensor(
    look: Inspection, choice: Choice, array: Array, width: int, palette: heat.Palette = heat.DARK
) -> list[Line]:
    """Two axes of a tensor as a heat map or a grid of them, and where that is within the rest."""
    shown, labels = sliced(array, choice, look.shown)
    head: list[Line] = [[Part(line, "quiet")] for line in _wrapped(labels, width)]
    head += [heat.scale(shown, width, palette), []]
    if choice.numbers:
        matrix = shown if shown.ndim == 2 else shown[0]
        return [*head, *heat.value_table(matrix, width, palette=palette)]
    draw = heat.grid if shown.ndim == 3 else heat.heat_map
    return [*head, *draw(shown, width, palette=palette)]


def sliced(array: Array, choice: Choice, samples: Sequence[int] = ()) -> tuple[Array, str]:
    """A matrix, or several of one size, out of a tensor of any rank; and what they are, in words.

    Four axes are shown as a grid: feature maps of a sample, heads of an attention map, kernels of an input channel.

    Args:
        samples: numbers in the training part of the samples along the first axis of what is no weight.
    """
    import numpy as np

    order = list(range(array.ndim))
    if choice.view == "weight" and array.ndim >= 4:
        order[:2] = [1, 0]  # (out, in, …): a map for each thing the layer looks for
    if array.ndim > 1 and choice.turned:
        by = choice.turned % array.ndim
        order = order[-by:] + order[:-by]
    turned = np.transpose(array, order)
    if turned.ndim == 0:
        turned = turned[None]
    if turned.ndim == 1:
        return turned[None], f"{turned.shape[0]} values"
    keep = 3 if turned.ndim >= 4 and not choice.numbers else 2
    hidden = turned.ndim - keep
    where = []
    for axis in range(hidden):
        at = choice.indices[axis] % turned.shape[0] if axis < len(choice.indices) else 0
        name = axis_name(choice.view, array.ndim, order[axis])
        known = name == "sample" and at < len(samples)
        place = f"at {at}" if name.startswith("axis") else str(at)
        where.append(f"{name} {place} of {turned.shape[0]}" + (f" (number {samples[at]})" if known else ""))
        turned = turned[at]
    size = "×".join(map(str, turned.shape))
    axes = ", ".join(axis_name(choice.view, array.ndim, each) for each in order[hidden:])
    return turned, f"{size} ({axes})" + (f" · {', '.join(where)}" if where else "")


def axis_name(view: View, rank: int, axis: int) -> str:
    """What a tensor's axis runs over."""
    names: Sequence[str] = ()
    if view == "weight":
        names = ("output", "input") if rank > 1 else ()
    elif view == "attention":
        names = ("sample", "head", "query", "key")
    elif view in ("activation", "gradient"):
        names = {2: ("sample", "feature"), 3: ("sample", "position", "feature"),
                 4: ("sample", "channel", "row", "column")}.get(rank, ("sample",))  # fmt: skip
    return names[axis] if axis < len(names) else f"axis {axis}"


def embedding(
    look: Inspection, array: Array, width: int, height: int, palette: heat.Palette = heat.DARK
) -> list[Line]:
    """Samples as points: near each other where the last layer sees them alike."""
    kinds = inspection.classes(look)
    share = inspection.plane_share(look)
    head = f"{len(array)} training samples before the last layer; the plane shows {share:.0%} of the variance"
    page: list[Line] = [[Part(line, "quiet")] for line in _wrapped(head, width)]
    legend = heat.legend(kinds, look.class_names, width, palette)
    room = max(6, height - len(page) - len(legend))
    return [*page, *heat.points(array[:, :2], kinds, max(8, width), room, palette), *legend]


def flow_lines(look: Inspection, here: str, width: int) -> list[Line]:
    """Gradient flow: a bar a layer on a logarithmic scale; layers in the order of the forward pass."""
    import math

    flow = inspection.flow(look)
    sizes = [size for _, size in flow if size > 0]
    if not sizes:
        return [[Part(line, "quiet")] for line in _wrapped("No gradient was recorded.", width)]
    top = math.log10(max(sizes))
    bottom = min(math.log10(min(sizes)), top - 2) - 0.3
    column = min(max(words.cells(path) for path, _ in flow), max(8, width * 2 // 5))
    room = max(LEAST_BAR, width - column - 11)
    page: list[Line] = []
    for path, size in flow:
        share = (math.log10(size) - bottom) / (top - bottom) if size > 0 else 0.0
        faint = size < 1e-3 * max(sizes)
        label = _end_of(path, column)
        label += " " * (column - words.cells(label))
        tone = "warning" if faint else "primary"
        page.append([
            Part(label, "accent" if path == here else ""), Part(" "), Part(FULL * max(1, round(share * room)), tone),
            Part(f" {size:.1e}" + (" ▲" if faint else ""), "quiet"),
        ])  # fmt: skip
    return page


def _end_of(path: str, width: int) -> str:
    """A module's path, its beginning left out where it is too long: the end tells layers apart."""
    while words.cells(path) > width and "." in path.removeprefix("…."):
        path = "…." + path.removeprefix("….").partition(".")[2]
    return words.fit(path, width)


def _flowed(pairs: list[str], width: int) -> list[str]:
    """Words of one size side by side, as many a line as fit."""
    column = max((words.cells(pair) for pair in pairs), default=0) + 2
    across = max(1, width // column)
    rows = [pairs[at : at + across] for at in range(0, len(pairs), across)]
    return ["".join(pair + " " * (column - words.cells(pair)) for pair in row).rstrip() for row in rows]


def _wrapped(said: str, width: int) -> list[str]:
    from tui.widgets.text_lines import wrapped

    return list(wrapped(said, max(8, width))) or [""]
