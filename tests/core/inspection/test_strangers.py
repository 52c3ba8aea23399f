"""Networks as they are found in other people's files: what is told of each, and what would mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dlcore.errors import UserError
from dlcore.inspecting import inspect
from tests.core.inspection.broken_networks import HEADER, module


class Found(NamedTuple):
    """A file, what goes in, and what has to be said.

    Attributes:
        said: part of the failure's message; "" where a batch goes through.
        fix: what the first fix says; "" where there is none.
        note: part of a remark.
    """

    inputs: list[str]
    code: str
    said: str = ""
    fix: str = ""
    note: str = ""


FOUND = {
    "weights of its own in F.linear": Found(
        ["8x64"],
        module("self.w = nn.Parameter(torch.randn(10, 46) * 0.01)", "return F.linear(x, self.w)"),
        "linear's weight 10×46 needs 46 numbers",
        "64 in place of 46 in w",
    ),
    "norms of the sizes before": Found(
        ["16x32"],
        module(
            """
            dims = (32, 64, 128, 10)
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(dims, dims[1:]))
            self.norms = nn.ModuleList([nn.LayerNorm(d) for d in dims[:-1]])
            """,
            """
            for layer, norm in zip(self.layers, self.norms):
                x = F.relu(norm(layer(x)))
            return x
            """,
        ),
        "LayerNorm(normalized_shape=32)",
        "dims[1:] in place of dims[:-1]",
    ),
    "first states for another axis": Found(
        ["64x30x28"],
        module(
            "self.lstm = nn.LSTM(28, 16, 2)",
            "h = torch.zeros(2, x.size(0), 16)\nreturn self.lstm(x, (h, h))[0][:, -1]",
        ),
        "LSTM needs a first state of 2×30×16 (layers, batch, hidden), but it is 2×64×16: with batch_first=False",
        "batch_first=True",
    ),
    "a causal mask for longer texts": Found(
        ["4x64x32"],
        module(
            """
            self.attn = nn.MultiheadAttention(32, 4, batch_first=True)
            self.register_buffer("mask", torch.ones(100, 100).triu(1).bool())
            """,
            "return self.attn(x, x, x, attn_mask=self.mask)[0]",
        ),
        "needs an attn_mask of 64×64 (queries, keys), but it is 100×100",
        "self.mask[..., : x.shape[1], : x.shape[1]]",
    ),
    "a padding mask of the batch": Found(
        ["32x10x64", "32x10:bool"],
        module(
            "self.attn = nn.MultiheadAttention(64, 8)",
            "return self.attn(x, x, x, key_padding_mask=mask)[0]",
            "x, mask",
        ),
        "key_padding_mask of 10×32 (batch, keys), but it is 32×10: with batch_first=False dimension 1",
        "mask.t()",
    ),
    "an autoencoder that loses a row": Found(
        ["8x1x28x28"],
        module(
            """
            self.down = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 8, 3, 2, 1))
            self.up = nn.Sequential(nn.ConvTranspose2d(8, 4, 3, 2, 1), nn.ConvTranspose2d(4, 1, 3, 2, 1, 1))
            """,
            "return F.mse_loss(self.up(self.down(x)), x)",
        ),
        "dimension 2 is 26 and 28",
        "output_padding=1 in up.0",
    ),
    "output padding without a stride": Found(
        ["8x8x28x28"],
        module("self.up = nn.ConvTranspose2d(8, 4, 3, output_padding=1)", "return self.up(x)"),
        "output_padding 1 must be smaller than the stride or the dilation",
    ),
    "a misspelt layer": Found(
        ["8x4"],
        module("self.fc1 = nn.Linear(4, 2)", "return self.fc_1(x)"),
        "did you mean fc1?",
        "self.fc1",
    ),
    "no constructor of nn.Module": Found(
        ["8x4"],
        "class Net(nn.Module):\n    def __init__(self):\n        self.fc = nn.Linear(4, 2)\n\n"
        "    def forward(self, x):\n        return self.fc(x)",
        "before Module.__init__() call",
        "super().__init__() first",
    ),
    "an input too few": Found(
        ["8x4"],
        module("self.fc = nn.Linear(4, 2)", "return self.fc(x) + y", "x, y"),
        "give one more --input",
    ),
    "no end": Found(
        ["8x4"],
        module("self.fc = nn.Linear(4, 4)", "return self.forward(self.fc(x))"),
        "forward calls itself without an end",
    ),
    "layers in a list": Found(
        ["8x4"],
        module("self.layers = [nn.Linear(4, 4)]", "return self.layers[0](x)"),
        note="layers is a plain list",
    ),
    "nothing returned": Found(
        ["8x4"], module("self.fc = nn.Linear(4, 4)", "self.fc(x)"), note="is a return missing?"
    ),
    "a hard-coded GPU": Found(
        ["8x4"],
        module(
            "self.fc = nn.Linear(4, 4).cuda()\nself.out = nn.Linear(4, 2).to('cuda:0')",
            "noise = torch.randn(x.shape, device='cuda')\nreturn self.out(self.fc(x.cuda(non_blocking=True) + noise))",
        ),
        note="asks for cuda",
    ),
    "a scripted layer": Found(
        ["8x4"],
        module(
            "self.a = nn.Linear(4, 4)\nself.b = torch.jit.script(nn.Linear(4, 2))", "return self.b(self.a(x))"
        ),
    ),
}


def told(found: Found, folder: Path) -> dict[str, Any]:
    path = folder / "net.py"
    path.write_text(HEADER + found.code + "\n")
    return inspect(f"{path}:Net", found.inputs)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "no end" else name for name in FOUND]
)
def test_a_strangers_network(name: str, tmp_path: Path) -> None:
    found = FOUND[name]
    facts = told(found, tmp_path)
    failure = facts["failure"]
    assert found.said in (failure or {"message": ""})["message"] and bool(failure) == bool(found.said), (
        failure
    )
    assert (facts["fixes"][0]["say"] if facts["fixes"] else "") == found.fix
    assert found.note in "; ".join(note["message"] for note in facts["notes"])
    assert not facts.get("unused")
    assert len(facts["rows"]) <= 10


def test_a_fix_that_works_by_the_chance_of_this_batch_is_not_offered(tmp_path: Path) -> None:
    """With 8 samples a transposed input has 8 features, too."""
    code = module("self.a = nn.Linear(8, 16)\nself.b = nn.Linear(8, 4)", "return self.b(F.relu(self.a(x)))")
    says = [fix["say"] for fix in told(Found(["8x8"], code), tmp_path)["fixes"]]
    assert says == ["in_features=16", "out_features=8 in a"]


def test_where_the_batch_is_can_be_said_for_code_that_has_time_first(tmp_path: Path) -> None:
    code = module("self.rnn = nn.GRU(4, 4)", "return self.rnn(x)[0]")
    notes = [note["message"] for note in told(Found(["35x20x4"], code), tmp_path)["notes"]]
    assert len(notes) == 1 and notes[0].endswith("or say where the batch is: --input 35xBx4")
    assert told(Found(["35xBx4"], code), tmp_path)["notes"] == []


def test_a_dictionary_written_with_dots_is_shown_how_it_is_written(tmp_path: Path) -> None:
    code = module("self.fc = nn.Linear(4, 2)", "return self.fc(batch['x'])", "batch")
    with pytest.raises(UserError, match=r"a dictionary is written batch=\{x=8x4, …\}"):
        told(Found(["batch.x=8x4"], code), tmp_path)
    assert told(Found(["batch={x=8x4}"], code), tmp_path)["failure"] is None


def test_an_argument_that_torchvision_does_not_know_has_a_likely_one() -> None:
    with pytest.raises(UserError, match="resnet18 has no such argument; did you mean 'num_classes'"):
        inspect("torchvision:resnet18", [], ["nclasses=10"])
