"""Networks as files hold them: with what has to be computed around them, their weights under their own names."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Around(nn.Module):
    """A network and what is computed before or after it; a subclass says what that is.

    Attributes:
        core: the network. A file of weights alone holds its weights, under the names they have there.
    """

    def __init__(self, core: nn.Module) -> None:
        super().__init__()
        self.core = core


class Unnamed(Around):
    """Outputs as a plain tuple: torch.export stores no named ones."""

    def forward(self, inputs: Tensor) -> Any:
        """As the network, without the names."""
        return tuple(self.core(inputs))


def core_of(network: nn.Module) -> nn.Module:
    """The network itself."""
    return network.core if isinstance(network, Around) else network
