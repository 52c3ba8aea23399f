"""Networks with one mistake each, as they are found in the wild. `dltui doctor` names it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlcore.data.spec import DataSpec


class SoftmaxTwice(nn.Module):
    """Ends in a softmax, and cross-entropy takes another one."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, spec.num_outputs)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return F.softmax(self.layers(inputs), dim=1)  # the mistake


class LastRelu(nn.Module):
    """Ends in a ReLU: no logit is ever below 0."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(64, 64), nn.Linear(64, spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        return F.relu(self.head(F.relu(self.hidden(inputs.flatten(1)))))  # the mistake: the outer one


class AttentionOverTheBatch(nn.Module):
    """Attention without batch_first: it takes the samples of a batch for the steps of a sequence."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.attention = nn.MultiheadAttention(32, 4)  # the mistake: batch_first=True is missing
        self.head = nn.Linear(32, spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        rows = self.embed(inputs[:, 0])  # (batch, rows, 32)
        mixed, _ = self.attention(rows, rows, rows, need_weights=False)
        return self.head((rows + mixed).mean(1))


class BatchNormWithoutMemory(nn.Module):
    """Batch norm that uses the batch at hand in evaluation mode, too."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, 64)
        self.norm = nn.BatchNorm1d(64, track_running_stats=False)  # the mistake
        self.head = nn.Linear(64, spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(F.relu(self.norm(self.hidden(inputs.flatten(1)))))


class DropoutAlways(nn.Module):
    """Drops out in evaluation as well."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(64, 128), nn.Linear(128, spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = F.relu(self.hidden(inputs.flatten(1)))
        return self.head(F.dropout(hidden, 0.5))  # the mistake: training=self.training is missing


class ForgottenLayer(nn.Module):
    """A layer that forward() never calls."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.second = nn.Linear(64, 64)
        self.head = nn.Linear(64, spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = F.relu(self.first(inputs.flatten(1)))
        return self.head(hidden)  # the mistake: second is left out


class FrozenTrunk(nn.Module):
    """All but the head is frozen, and never was trained."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU())
        self.trunk.requires_grad_(False)  # the mistake
        self.head = nn.Linear(64, spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.trunk(inputs))


class SilentRelus(nn.Module):
    """Biases so low that no ReLU ever wakes up."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.hidden, self.relu, self.head = nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, spec.num_outputs)
        nn.init.constant_(self.hidden.bias, -10.0)  # the mistake

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.relu(self.hidden(inputs.flatten(1))))


class SaturatedSigmoids(nn.Module):
    """Weights so large that every sigmoid stands at 0 or 1."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 64),
            nn.Sigmoid(),
            nn.Linear(64, 64),
            nn.Sigmoid(),
            nn.Linear(64, spec.num_outputs),
        )
        for layer in (self.layers[1], self.layers[3]):
            nn.init.normal_(layer.weight, std=20.0)  # the mistake

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)


class Logarithm(nn.Module):
    """The logarithm of its input."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.log()


class LogOfNothing(nn.Module):
    """Takes the logarithm of numbers that may be negative."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.hidden, self.log, self.head = nn.Linear(64, 32), Logarithm(), nn.Linear(32, spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(
            self.log(self.hidden(inputs.flatten(1)) + 2.5)
        )  # the mistake: seldom below 0, but at times


class SureOfNonsense(nn.Module):
    """An output layer with weights a hundred times too large."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, spec.num_outputs)
        )
        nn.init.normal_(self.layers[3].weight, std=10.0)  # the mistake

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layers(inputs)


class RunawayRecurrence(nn.Module):
    """A recurrent network whose state grows fourfold at every step, and a head that hides it at first."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.cell = nn.RNN(8, 32, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(32, spec.num_outputs)
        with torch.no_grad():
            self.cell.weight_hh_l0.copy_(4.0 * torch.eye(32))  # the mistake
            self.head.weight.mul_(1e-5)

    def forward(self, inputs: Tensor) -> Tensor:
        states, _ = self.cell(inputs[:, 0])
        return self.head(states[:, -1])


class Hoarder(nn.Module):
    """Keeps what every step made."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(64, 4096), nn.Linear(4096, spec.num_outputs)
        self.history: list[Tensor] = []  # for a plot, later

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = F.relu(self.hidden(inputs.flatten(1)))
        if self.training:
            self.history.append(hidden)  # the mistake: half a megabyte a step, with the graph behind it
        return self.head(hidden)


class Blocked(nn.Module):
    """Averages the picture away before it is looked at."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(64, 64), nn.Linear(64, spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        pixels = inputs.flatten(1)
        pixels = pixels - pixels  # the mistake: every picture is black now
        return self.head(F.relu(self.hidden(pixels)))


class Rounded(torch.autograd.Function):
    """Squares, with a backward pass for another function."""

    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)  # type: ignore[attr-defined]
        return values**2

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * values  # the mistake: the slope of x² is 2 x


class WrongBackward(nn.Module):
    """A function with a gradient written by hand, and wrong."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(64, 64), nn.Linear(64, spec.num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(Rounded.apply(self.hidden(inputs.flatten(1))))


class DeafGenerator(nn.Module):
    """A generator that hardly listens to its noise, and a discriminator."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.latent = 16
        self.generator = nn.Sequential(
            Deaf(), nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 64), nn.Sigmoid(), Normalised(spec)
        )
        self.discriminator = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 128), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(128, 1)
        )

    def forward(self, noise: Tensor) -> Tensor:
        return self.generator(noise)


class Deaf(nn.Module):
    """The mistake: noise of deviation 1 becomes noise of deviation 0.01."""

    def forward(self, noise: Tensor) -> Tensor:
        return noise * 0.01


class Normalised(nn.Module):
    """Brightness from 0 to 1 as the data has it."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.shape = spec.input_shape
        self.mean, self.std = spec.preprocessing["mean"][0], spec.preprocessing["std"][0]

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels.unflatten(1, self.shape) - self.mean) / self.std
