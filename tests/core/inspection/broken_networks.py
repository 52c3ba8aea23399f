"""More than sixty networks as people break them: where each must fail, and what must be offered to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

HEADER = "import math\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\n"


@dataclass(frozen=True)
class Broken:
    """A network with one mistake.

    Attributes:
        inputs: as on the command line.
        layer: path of the module that must be named; empty for the model's own code.
        fix: what the first fix must say.
        patch: what its added lines must hold; where empty, what stands behind the = in ``fix``, or all of it.
    """

    name: str
    inputs: str
    layer: str
    fix: str
    code: str
    patch: str = ""
    device: str = "cpu"

    @property
    def source(self) -> str:
        """The whole file; its class is called Net."""
        return HEADER + dedent(self.code).strip() + "\n"


def module(made: str, forward: str, arguments: str = "x") -> str:
    """A class Net from the lines of its constructor and of its forward pass."""
    made_lines = "\n".join(f"        {line}" for line in dedent(made).strip().splitlines())
    forward_lines = "\n".join(f"        {line}" for line in dedent(forward).strip().splitlines())
    return (
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"{made_lines}\n\n    def forward(self, {arguments}):\n{forward_lines}\n"
    )


LINEAR = [
    Broken(
        "a flatten size of another image",
        "8x1x28x28",
        "fc1",
        "in_features=3136",
        module(
            """
            self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
            self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
            self.fc1 = nn.Linear(64 * 8 * 8, 128)
            self.fc2 = nn.Linear(128, 10)
            """,
            """
            x = F.max_pool2d(F.relu(self.conv1(x)), 2)
            x = F.max_pool2d(F.relu(self.conv2(x)), 2)
            x = x.flatten(1)
            return self.fc2(F.relu(self.fc1(x)))
            """,
        ),
    ),
    Broken(
        "no flatten in a chain",
        "8x3x8x8",
        "net.2",
        "Flatten() before it",
        module(
            "self.net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Linear(256, 10))",
            "return self.net(x)",
        ),
    ),
    Broken(
        "no flatten before an MLP",
        "8x1x28x28",
        "fc1",
        "x.flatten(1)",
        module(
            "self.fc1 = nn.Linear(784, 64)\nself.fc2 = nn.Linear(64, 10)",
            "return self.fc2(torch.relu(self.fc1(x)))",
        ),
    ),
    Broken(
        "no flatten and another image size",
        "8x3x32x32",
        "fc",
        "x.flatten(1), in_features=4096",
        module(
            "self.conv = nn.Conv2d(3, 16, 3, padding=1)\nself.fc = nn.Linear(16 * 14 * 14, 10)",
            "x = F.max_pool2d(self.conv(x), 2)\nreturn self.fc(x)",
        ),
        patch="nn.Linear(4096, 10)",
    ),
    Broken(
        "features behind channels",
        "8x64x50",
        "fc",
        "x.transpose(1, 2)",
        module("self.fc = nn.Linear(64, 10)", "return self.fc(x)"),
    ),
    Broken(
        "feature maps that were to be averaged",
        "4x3x32x32",
        "fc",
        "x.mean((2, 3))",
        module(
            "self.conv = nn.Conv2d(3, 64, 3, stride=2, padding=1)\nself.fc = nn.Linear(64, 10)",
            "x = F.relu(self.conv(x))\nreturn self.fc(x)",
        ),
    ),
    Broken(
        "a hidden layer too narrow for the next",
        "4x20",
        "out",
        "in_features=64",
        module(
            "self.hidden = nn.Linear(20, 64)\nself.out = nn.Linear(32, 3)",
            "return self.out(torch.relu(self.hidden(x)))",
        ),
    ),
    Broken(
        "both directions of an LSTM",
        "4x9x20",
        "fc",
        "in_features=128",
        module(
            "self.lstm = nn.LSTM(20, 64, batch_first=True, bidirectional=True)\nself.fc = nn.Linear(64, 3)",
            "out, _ = self.lstm(x)\nreturn self.fc(out[:, -1])",
        ),
    ),
    Broken(
        "an LSTM's tuple into a layer",
        "4x9x20",
        "fc",
        "self.lstm(x)[0]",
        module(
            "self.lstm = nn.LSTM(20, 64, batch_first=True)\nself.fc = nn.Linear(64, 3)",
            "return self.fc(self.lstm(x))",
        ),
    ),
    Broken(
        "whole numbers into a linear layer",
        "4x20:int64",
        "fc",
        "x.float()",
        module("self.fc = nn.Linear(20, 3)", "return self.fc(x)"),
    ),
    Broken(
        "the old view with a fixed size",
        "8x1x32x32",
        "",
        "x.flatten(1), then in_features=1024",
        module(
            "self.conv = nn.Conv2d(1, 4, 3, padding=1)\nself.fc = nn.Linear(4 * 7 * 7, 10)",
            "x = F.max_pool2d(self.conv(x), 2)\nx = x.view(-1, 4 * 7 * 7)\nreturn self.fc(x)",
        ),
        patch="flatten(1)",
    ),
]

CONVOLUTION = [
    Broken(
        "grey images into a layer for colour",
        "8x1x28x28",
        "conv",
        "in_channels=1",
        module("self.conv = nn.Conv2d(3, 8, 3)", "return self.conv(x)"),
        patch="Conv2d(1, 8, 3)",
    ),
    Broken(
        "channels last",
        "8x32x32x3",
        "conv",
        "x.permute(0, 3, 1, 2)",
        module("self.conv = nn.Conv2d(3, 8, 3)", "return self.conv(x)"),
    ),
    Broken(
        "channels last into a chain",
        "8x32x32x3",
        "net.0",
        "x.permute(0, 3, 1, 2)",
        module(
            "self.net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2))", "return self.net(x)"
        ),
    ),
    Broken(
        "no channel dimension",
        "8x28x28",
        "conv",
        "x.unsqueeze(1)",
        module("self.conv = nn.Conv2d(1, 8, 3)", "return self.conv(x)"),
    ),
    Broken(
        "flat rows into a convolution",
        "8x784",
        "conv",
        "x.unflatten(1, (1, 28, 28))",
        module("self.conv = nn.Conv2d(1, 8, 3)", "return self.conv(x)"),
    ),
    Broken(
        "the second convolution of another width",
        "8x3x16x16",
        "conv2",
        "in_channels=16",
        module(
            "self.conv1 = nn.Conv2d(3, 16, 3)\nself.conv2 = nn.Conv2d(32, 64, 3)",
            "return self.conv2(self.conv1(x))",
        ),
    ),
    Broken(
        "a kernel larger than what is left",
        "8x3x8x8",
        "conv2",
        "padding=2",
        module(
            "self.conv1 = nn.Conv2d(3, 8, 3, stride=2)\nself.conv2 = nn.Conv2d(8, 8, 5)",
            "return self.conv2(self.conv1(x))",
        ),
    ),
    Broken(
        "sequences with features last into Conv1d",
        "8x50x12",
        "conv",
        "x.transpose(1, 2)",
        module("self.conv = nn.Conv1d(12, 8, 3)", "return self.conv(x)"),
    ),
    Broken(
        "bytes into a convolution",
        "8x3x8x8:uint8",
        "conv",
        "x.float()",
        module("self.conv = nn.Conv2d(3, 8, 3)", "return self.conv(x)"),
    ),
    Broken(
        "a transposed convolution of another width",
        "8x16x7x7",
        "up",
        "in_channels=16",
        module("self.up = nn.ConvTranspose2d(32, 8, 2, stride=2)", "return self.up(x)"),
        patch="ConvTranspose2d(16, 8, 2",
    ),
    Broken(
        "one pooling too many",
        "8x3x8x8",
        "net.4",
        "no MaxPool2d here",
        module(
            """
            self.net = nn.Sequential(
                nn.MaxPool2d(2),
                nn.MaxPool2d(2),
                nn.Conv2d(3, 8, 3, padding=1),
                nn.MaxPool2d(2),
                nn.MaxPool2d(2),
            )
            """,
            "return self.net(x)",
        ),
        patch="nn.Identity()",
    ),
    Broken(
        "a first layer widened, everything behind it not",
        "8x3x16x16",
        "bn",
        "out_channels=16 in conv1",
        module(
            """
            self.conv1 = nn.Conv2d(3, 24, 3, padding=1)
            self.bn = nn.BatchNorm2d(16)
            self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
            """,
            "return self.conv2(F.relu(self.bn(self.conv1(x))))",
        ),
    ),
]

NORMS = [
    Broken(
        "a batch norm of another width",
        "8x3x16x16",
        "bn",
        "num_features=16",
        module(
            "self.conv = nn.Conv2d(3, 16, 3)\nself.bn = nn.BatchNorm2d(3)", "return self.bn(self.conv(x))"
        ),
        patch="BatchNorm2d(16)",
    ),
    Broken(
        "batch norm for images on features",
        "8x20",
        "bn",
        "BatchNorm1d in place of BatchNorm2d",
        module("self.fc = nn.Linear(20, 6)\nself.bn = nn.BatchNorm2d(6)", "return self.bn(self.fc(x))"),
        patch="nn.BatchNorm1d(6)",
    ),
    Broken(
        "batch norm for features on images",
        "8x3x8x8",
        "net.1",
        "BatchNorm2d in place of BatchNorm1d",
        module(
            "self.net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm1d(6), nn.ReLU())", "return self.net(x)"
        ),
        patch="nn.BatchNorm2d(6)",
    ),
    Broken(
        "batch norm on sequences with features last",
        "8x50x12",
        "bn",
        "self.bn(x.transpose(1, 2)).transpose(1, 2)",
        module(
            "self.bn = nn.BatchNorm1d(12)\nself.fc = nn.Linear(12, 3)", "x = self.bn(x)\nreturn self.fc(x)"
        ),
    ),
    Broken(
        "layer norm of another width",
        "8x50x12",
        "norm",
        "normalized_shape=12",
        module("self.norm = nn.LayerNorm(16)", "return self.norm(x)"),
        patch="LayerNorm(12)",
    ),
    Broken(
        "layer norm on channels of images",
        "8x32x7x7",
        "norm",
        "self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)",
        module(
            "self.norm = nn.LayerNorm(32)\nself.conv = nn.Conv2d(32, 8, 3)", "return self.conv(self.norm(x))"
        ),
    ),
]

TIME = [
    Broken(
        "numbers into an embedding",
        "4x12",
        "embed",
        "x.long()",
        module("self.embed = nn.Embedding(100, 16)", "return self.embed(x)"),
    ),
    Broken(
        "ids beyond the vocabulary",
        "4x12:int64<1000",
        "embed",
        "num_embeddings=1000",
        module("self.embed = nn.Embedding(512, 16)", "return self.embed(x)"),
        patch="Embedding(1000, 16)",
    ),
    Broken(
        "more positions than the table has",
        "4x80:int64<100",
        "position",
        "num_embeddings=80",
        module(
            "self.token = nn.Embedding(100, 16)\nself.position = nn.Embedding(64, 16)",
            "steps = torch.arange(ids.shape[1], device=ids.device)\nreturn self.token(ids) + self.position(steps)",
            "ids",
        ),
    ),
    Broken(
        "an LSTM of another width",
        "4x9x20",
        "lstm",
        "input_size=20",
        module("self.lstm = nn.LSTM(10, 8, batch_first=True)", "return self.lstm(x)[0]"),
        patch="LSTM(20, 8",
    ),
    Broken(
        "images by rows with their channel",
        "4x1x28x28",
        "rnn",
        "x.squeeze(1)",
        module("self.rnn = nn.RNN(28, 8, batch_first=True)", "return self.rnn(x)[0][:, -1]"),
    ),
    Broken(
        "sequences with features before time",
        "4x12x30",
        "gru",
        "x.transpose(1, 2)",
        module("self.gru = nn.GRU(12, 8, batch_first=True)", "return self.gru(x)[0]"),
    ),
    Broken(
        "a first state with the batch in another place",
        "4x9x20",
        "lstm",
        "batch_first=True",
        module(
            "self.lstm = nn.LSTM(20, 8)",
            """
            h = torch.zeros(1, x.size(0), 8, device=x.device)
            out, _ = self.lstm(x, (h, h))
            return out[:, -1]
            """,
        ),
    ),
    Broken(
        "a first state for one of two layers",
        "4x9x20",
        "gru",
        "torch.zeros(2, 4, 8) as the first state",
        module(
            "self.gru = nn.GRU(20, 8, num_layers=2, batch_first=True)",
            """
            h0 = torch.zeros(1, x.size(0), 8, device=x.device)
            out, _ = self.gru(x, h0)
            return out[:, -1]
            """,
        ),
        patch="torch.zeros(2, x.size(0), 8",
    ),
    Broken(
        "a first state for a fixed batch",
        "7x9x20",
        "gru",
        "torch.zeros(1, 7, 8) as the first state",
        module(
            "self.gru = nn.GRU(20, 8, batch_first=True)",
            """
            h0 = torch.zeros(1, 32, 8, device=x.device)
            out, _ = self.gru(x, h0)
            return out[:, -1]
            """,
        ),
        patch="torch.zeros(1, x.shape[0], 8",
    ),
    Broken(
        "attention of another width",
        "4x9x20",
        "attention",
        "embed_dim=20",
        module(
            "self.attention = nn.MultiheadAttention(32, 4, batch_first=True)",
            "return self.attention(x, x, x)[0]",
        ),
        patch="MultiheadAttention(20, 4",
    ),
    Broken(
        "attention that takes time for the batch",
        "4x9x32, memory=4x5x32",
        "attention",
        "batch_first=True",
        module(
            "self.attention = nn.MultiheadAttention(32, 4)",
            "return self.attention(x, memory, memory[:, :, :])[0] + 0 * x",
            "x, memory",
        ).replace("memory[:, :, :]", "memory"),
    ),
    Broken(
        "keys and values of another width",
        "4x9x32, memory=4x5x24",
        "attention",
        "kdim=24, vdim=24",
        module(
            "self.attention = nn.MultiheadAttention(32, 4, batch_first=True)",
            "return self.attention(x, memory, memory)[0]",
            "x, memory",
        ),
    ),
    Broken(
        "a first state on the CPU",
        "4x9x20",
        "rnn",
        "device=x.device",
        module(
            "self.rnn = nn.RNN(20, 8, batch_first=True)",
            "h0 = torch.zeros(1, x.size(0), 8)\nreturn self.rnn(x, h0)[0]",
        ),
        device="cuda",
    ),
]

OPERATIONS = [
    Broken(
        "attention scores without a transpose",
        "4x9x20",
        "",
        "key.transpose(-2, -1)",
        module(
            "self.query = nn.Linear(20, 16)\nself.key = nn.Linear(20, 16)",
            """
            query, key = self.query(x), self.key(x)
            return torch.softmax(query @ key / 4, dim=-1)
            """,
        ),
    ),
    Broken(
        "heads and time in different order",
        "4x9x20",
        "",
        "key.transpose(1, 2)",
        module(
            "self.project = nn.Linear(20, 20)",
            """
            query = self.project(x).view(4, 9, 2, 10).transpose(1, 2)
            key = self.project(x).view(4, 9, 2, 10)
            scores = torch.matmul(query, key.transpose(-2, -1).transpose(-2, -1).transpose(1, 2).transpose(-2, -1))
            return torch.matmul(scores, key)
            """,
        ),
    ),
    Broken(
        "bmm of a matrix",
        "4x9x20",
        "",
        "matmul in place of bmm",
        module("self.mix = nn.Parameter(torch.zeros(20, 5))", "return torch.bmm(x, self.mix)"),
    ),
    Broken(
        "weights for attention pooling without a last dimension",
        "4x9x20",
        "",
        "weights.unsqueeze(1)",
        module(
            "self.score = nn.Linear(20, 1)",
            """
            weights = torch.softmax(self.score(x).squeeze(-1), dim=1)
            return torch.bmm(weights, x).squeeze(1)
            """,
        ),
    ),
    Broken(
        "a parameter of another width",
        "4x12",
        "",
        "12 in place of 16",
        module("self.weight = nn.Parameter(torch.zeros(16, 3))", "return x @ self.weight"),
        patch="torch.zeros(12, 3)",
    ),
    Broken(
        "features joined along the batch",
        "4x12, other=4x7",
        "",
        "dim=1",
        module("self.fc = nn.Linear(19, 3)", "return self.fc(torch.cat([x, other]))", "x, other"),
    ),
    Broken(
        "a U-Net skip of an odd image",
        "2x1x45x45",
        "",
        "skip[..., : x.shape[-2], : x.shape[-1]]",
        module(
            """
            self.down = nn.Conv2d(1, 8, 3, padding=1)
            self.deep = nn.Conv2d(8, 16, 3, padding=1)
            self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
            self.out = nn.Conv2d(16, 2, 1)
            """,
            """
            skip = F.relu(self.down(x))
            x = F.relu(self.deep(F.max_pool2d(skip, 2)))
            x = self.up(x)
            return self.out(torch.cat([x, skip], dim=1))
            """,
        ),
    ),
    Broken(
        "a class token for one sample",
        "4x9x20",
        "",
        "self.cls.expand(x.shape[0], -1, -1)",
        module("self.cls = nn.Parameter(torch.zeros(1, 1, 20))", "return torch.cat([self.cls, x], dim=1)"),
    ),
    Broken(
        "a branch without its margin",
        "2x3x16x16",
        "",
        "padding=2 in wide",
        module(
            "self.narrow = nn.Conv2d(3, 8, 1)\nself.wide = nn.Conv2d(3, 8, 5)",
            "return torch.cat([self.narrow(x), self.wide(x)], dim=1)",
        ),
    ),
    Broken(
        "a residual whose convolution shrinks",
        "2x8x16x16",
        "",
        "padding=1 in conv",
        module("self.conv = nn.Conv2d(8, 8, 3)", "return x + F.relu(self.conv(x))"),
    ),
    Broken(
        "a residual of another width",
        "2x8x16x16",
        "",
        "out_channels=8 in conv",
        module("self.conv = nn.Conv2d(8, 16, 3, padding=1)", "return x + F.relu(self.conv(x))"),
    ),
    Broken(
        "a scale per channel",
        "2x8x16x16",
        "",
        "self.scale.view(-1, 1, 1)",
        module("self.scale = nn.Parameter(torch.ones(8))", "return x * self.scale"),
    ),
    Broken(
        "squeeze and excite",
        "2x8x16x16",
        "",
        "gate[..., None, None]",
        module(
            "self.fc = nn.Linear(8, 8)",
            "gate = torch.sigmoid(self.fc(x.mean((2, 3))))\nreturn x * gate",
        ),
    ),
    Broken(
        "positions longer than the text",
        "4x50x20",
        "",
        "self.position[..., : x.shape[-2], :]",
        module("self.position = nn.Parameter(torch.zeros(1, 128, 20))", "return x + self.position"),
    ),
    Broken(
        "view after a transpose",
        "4x9x20",
        "",
        "reshape in place of view",
        module("self.fc = nn.Linear(180, 3)", "return self.fc(x.transpose(1, 2).view(4, 180))"),
    ),
    Broken(
        "a batch written as a number",
        "8x9x20",
        "",
        "x.view(x.shape[0], …)",
        module("self.fc = nn.Linear(180, 3)", "return self.fc(x.view(32, 180))"),
        patch="x.view(x.shape[0], 180)",
    ),
    Broken(
        "heads that do not fill the width",
        "4x9x20",
        "",
        "5 in place of 8 in view",
        module("self.fc = nn.Linear(5, 3)", "return self.fc(x.view(4, 9, 4, 8))"),
    ),
    Broken(
        "a table that is no buffer",
        "4x20",
        "",
        'register_buffer("mean", …)',
        module("self.fc = nn.Linear(20, 3)\nself.mean = torch.zeros(20)", "return self.fc(x - self.mean)"),
        patch='self.register_buffer("mean", torch.zeros(20))',
        device="cuda",
    ),
]

LOSSES = [
    Broken(
        "class numbers as floats",
        "8x20, target=8",
        "",
        "target.long()",
        module("self.fc = nn.Linear(20, 5)", "return F.cross_entropy(self.fc(x), target)", "x, target"),
    ),
    Broken(
        "class numbers with a last dimension",
        "8x20, target=8x1:int64",
        "loss",
        "target.squeeze(-1)",
        module(
            "self.fc = nn.Linear(20, 5)\nself.loss = nn.CrossEntropyLoss()",
            "return self.loss(self.fc(x), target)",
            "x, target",
        ),
    ),
    Broken(
        "classes behind time",
        "8x12x20, target=8x12:int64",
        "",
        "logits.transpose(1, 2)",
        module(
            "self.fc = nn.Linear(20, 5)",
            "logits = self.fc(x)\nreturn F.cross_entropy(logits, target)",
            "x, target",
        ),
    ),
    Broken(
        "one output against plain answers",
        "8x20, target=8",
        "loss",
        "target.unsqueeze(-1)",
        module(
            "self.fc = nn.Linear(20, 1)\nself.loss = nn.BCEWithLogitsLoss()",
            "return self.loss(self.fc(x), target)",
            "x, target",
        ),
    ),
    Broken(
        "whole-number answers in a binary loss",
        "8x20, target=8x1:int64",
        "",
        "target.float()",
        module(
            "self.fc = nn.Linear(20, 1)",
            "return F.binary_cross_entropy_with_logits(self.fc(x), target)",
            "x, target",
        ),
    ),
    Broken(
        "more classes than outputs",
        "8x20, target=8:int64<10",
        "",
        "out_features=10 in fc",
        module("self.fc = nn.Linear(20, 9)", "return F.cross_entropy(self.fc(x), target)", "x, target"),
    ),
    Broken(
        "a mask with a channel",
        "2x3x8x8, target=2x1x8x8:int64",
        "",
        "target.squeeze(1)",
        module(
            "self.conv = nn.Conv2d(3, 4, 3, padding=1)",
            "return F.cross_entropy(self.conv(x), target)",
            "x, target",
        ),
    ),
    Broken(
        "heads that do not divide the width",
        "4x9x20",
        "",
        "num_heads=4",
        module(
            "self.attention = nn.MultiheadAttention(20, 3, batch_first=True)",
            "return self.attention(x, x, x)[0]",
        ),
    ),
]

WHOLE = [
    Broken(
        "a position table without room for the class token",
        "4x3x32x32",
        "",
        "65 in place of 64 in position",
        module(
            """
            self.patch = nn.Conv2d(3, 64, 4, stride=4)
            self.cls = nn.Parameter(torch.zeros(1, 1, 64))
            self.position = nn.Parameter(torch.zeros(1, 64, 64))
            self.head = nn.Linear(64, 10)
            """,
            """
            x = self.patch(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1)
            x = x + self.position
            return self.head(x[:, 0])
            """,
        ),
        patch="torch.zeros(1, 65, 64)",
    ),
    Broken(
        "a residual block without its projection",
        "4x3x32x32",
        "b2",
        "self.project(x), a 1×1 convolution",
        """
        class Block(nn.Module):
            def __init__(self, before, after, stride):
                super().__init__()
                self.c1 = nn.Conv2d(before, after, 3, stride=stride, padding=1)
                self.c2 = nn.Conv2d(after, after, 3, padding=1)

            def forward(self, x):
                return F.relu(x + self.c2(F.relu(self.c1(x))))


        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem = nn.Conv2d(3, 16, 3, padding=1)
                self.b1 = Block(16, 16, 1)
                self.b2 = Block(16, 32, 2)
                self.fc = nn.Linear(32, 10)

            def forward(self, x):
                x = self.b2(self.b1(self.stem(x)))
                return self.fc(x.mean((2, 3)))
        """,
        patch="self.project = nn.Conv2d(before, after, 1, stride=stride)",
    ),
    Broken(
        "class numbers in a binary loss",
        "8x20, target=8:int64<5",
        "loss",
        "CrossEntropyLoss in place of BCEWithLogitsLoss",
        module(
            "self.fc = nn.Linear(20, 5)\nself.loss = nn.BCEWithLogitsLoss()",
            "return self.loss(self.fc(x), target)",
            "x, target",
        ),
        patch="nn.CrossEntropyLoss()",
    ),
    Broken(
        "a number of heads that does not divide the width",
        "4x10x30",
        "",
        "5 in place of 4",
        module(
            "self.heads = 4\nself.qkv = nn.Linear(30, 90)\nself.out = nn.Linear(30, 30)",
            """
            b, t, d = x.shape
            q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
            return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d))
            """,
        ),
        patch="self.heads = 5",
    ),
    Broken(
        "kernels of one's own for another number of channels",
        "4x3x16x16",
        "",
        "3 in place of 1 in weight",
        module("self.weight = nn.Parameter(torch.zeros(8, 1, 3, 3))", "return F.conv2d(x, self.weight)"),
        patch="torch.zeros(8, 3, 3, 3)",
    ),
    Broken(
        "two branches of different width stacked",
        "4x10, b=4x12",
        "",
        "out_features=8 in right",
        module(
            "self.left = nn.Linear(10, 8)\nself.right = nn.Linear(12, 6)\nself.out = nn.Linear(8, 2)",
            "return self.out(torch.stack([self.left(a), self.right(b)], dim=1).mean(1))",
            "a, b",
        ),
        patch="nn.Linear(12, 8)",
    ),
    Broken(
        "features of both directions at the end",
        "4x12x8",
        "fc",
        "in_features=32",
        module(
            "self.gru = nn.GRU(8, 16, num_layers=2, batch_first=True, bidirectional=True)\n"
            "self.fc = nn.Linear(16, 3)",
            "_, h = self.gru(x)\nreturn self.fc(torch.cat([h[-2], h[-1]], dim=1))",
        ),
    ),
    Broken(
        "a generator's images into a flat discriminator",
        "8x100",
        "d.0",
        "Flatten() before it",
        module(
            """
            self.g = nn.Sequential(nn.Linear(100, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
            self.d = nn.Sequential(nn.Linear(784, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1))
            """,
            "return self.d(self.g(z))",
            "z",
        ),
    ),
]

NETWORKS = [*LINEAR, *CONVOLUTION, *NORMS, *TIME, *OPERATIONS, *LOSSES, *WHOLE]
