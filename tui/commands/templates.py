"""The starting points that `dltui new FILE.py` writes: each runs as it is, and says what may be changed."""

from __future__ import annotations

_HEADER = '''"""My own code for dltui. Keyword arguments after the * are options: name them in the preset's section.

Names in a preset: {names}
"""

from __future__ import annotations

{imports}
'''

_MODEL = '''
class Net(nn.Module):
    """A small network for inputs of any shape.

    Args:
        hidden: units of the hidden layer.
        dropout: share of them silenced while training.
    """

    def __init__(self, spec: DataSpec, *, hidden: int = 128, dropout: float = 0.1) -> None:
        super().__init__()
        features = math.prod(spec.input_shape)  # spec also knows input, target, class_names, vocabulary, ...
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, spec.num_outputs),  # logits: no softmax, the loss wants none
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, *spec.input_shape) -> (batch, spec.num_outputs)."""
        return self.layers(inputs)
'''

_DATA = '''
def make(context: DataContext, *, samples: int = 1000, noise: float = 0.3) -> Data:
    """Two rings of points: which one does a point belong to?

    Args:
        samples: points in all parts together.
        noise: how far points are off their ring.
    """
    generator = torch.Generator().manual_seed(context.seed)  # the same points for the same seed
    targets = torch.arange(samples) % 2
    angle = 2 * math.pi * torch.rand(samples, generator=generator)
    radius = 1.0 + targets + noise * torch.randn(samples, generator=generator)
    inputs = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    cut = (samples * 7 // 10, samples * 8 // 10)  # 70 % to train on, 10 % to watch, 20 % to test
    train, val, test = inputs.tensor_split(cut)
    mean, std = train.mean(0), train.std(0)  # of the training part only
    parts = [(part - mean) / std for part in (train, val, test)]
    spec = DataSpec(
        input="vector",  # or image, sequence, tokens
        input_shape=(2,),
        target="binary",  # or class, number, mask, tokens, none
        num_outputs=1,
        class_names=("inner", "outer"),
        feature_names=("x", "y"),
        # What dltui predict needs to read new inputs:
        preprocessing={"kind": "standardise", "mean": mean.tolist(), "std": std.tolist()},
    )
    answers = targets.tensor_split(cut)
    return Data(spec, *(TensorPart(x, y) for x, y in zip(parts, answers, strict=True)))
'''

_TASK = '''
class OwnTask(Classification):
    """Classification with focal loss: easy samples count less (Lin et al. 2017).

    Args:
        gamma: how much less; 0 is plain cross-entropy.
    """

    def __init__(self, model: nn.Module, spec: DataSpec, *, gamma: float = 2.0) -> None:
        super().__init__(model, spec)
        self.gamma = gamma

    def loss(self, batch: Batch, phase: str) -> tuple[Tensor, Tensor]:
        """Mean loss of the batch, (), and the outputs that metrics and samples are made from."""
        logits = self.model(batch.inputs)
        each = F.cross_entropy(logits, batch.targets, reduction="none")
        return ((1 - (-each).exp()) ** self.gamma * each).mean(), logits
'''

_IMPORTS = {
    "model": ("import math", "from torch import Tensor, nn", "from dlcore.data.spec import DataSpec"),
    "data": (
        "import math",
        "import torch",
        "from dlcore.data.spec import Data, DataContext, DataSpec, TensorPart",
    ),
    "task": (
        "import torch.nn.functional as F",
        "from torch import Tensor, nn",
        "from dlcore.data.spec import Batch, DataSpec",
        "from dlcore.tasks.classification import Classification",
    ),
}
_BODIES = {"model": _MODEL, "data": _DATA, "task": _TASK}
_NAMES = {
    "model": "model.name = FILE:Net",
    "data": "data.name = FILE:make",
    "task": "task.name = FILE:OwnTask",
}

KINDS = tuple(_BODIES)


def python(kind: str) -> str:
    """The text of a file with a starting point of one kind, or of all."""
    kinds = (kind,) if kind else KINDS
    names = ", ".join(f'"{_NAMES[each]}"' for each in kinds)
    header = _HEADER.format(names=names, imports=_imports(kinds))
    return header + "\n".join(_BODIES[each] for each in kinds)


def _imports(kinds: tuple[str, ...]) -> str:
    """Standard library, then torch, then dltui's; names of the same module on one line."""
    plain: set[str] = set()
    names: dict[str, set[str]] = {}
    for line in (line for kind in kinds for line in _IMPORTS[kind]):
        if line.startswith("import"):
            plain.add(line)
        else:
            module, _, taken = line.removeprefix("from ").partition(" import ")
            names.setdefault(module, set()).update(taken.split(", "))
    froms = {module: f"from {module} import {', '.join(sorted(each))}" for module, each in names.items()}
    first = [line for line in sorted(plain) if "torch" not in line]
    second = [line for line in sorted(plain) if "torch" in line]
    second += [line for module, line in froms.items() if module == "torch"]
    third = [line for module, line in sorted(froms.items()) if module != "torch"]
    return "\n\n".join("\n".join(block) for block in (first, second, third) if block)
