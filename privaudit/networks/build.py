"""Networks by name. Each is a factory ``(input_shape, classes) -> nn.Module`` over standardised inputs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from privaudit.errors import UsageError
from privaudit.registry import Registry

NETWORKS = Registry(
    "network",
    {
        "cnn": "privaudit.networks.cnn:build_cnn",
        "mlp": "privaudit.networks.mlp:build_mlp",
        "resnet18": "privaudit.networks.residual:build_resnet18",
        "resnet50": "privaudit.networks.residual:build_resnet50",
        "resnext50": "privaudit.networks.residual:build_resnext50",
    },
)


class Standardise(nn.Module):
    """Subtract the mean and divide by the deviation of each channel.

    It is the first layer of every network, so that a saved model takes inputs on the 0–1 scale and needs no
    side knowledge.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float], dimensions: int) -> None:
        super().__init__()
        shape = (1, len(mean), *([1] * (dimensions - 1)))
        self.register_buffer("mean", torch.tensor(mean).reshape(shape))
        self.register_buffer("deviation", torch.tensor(deviation).reshape(shape))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return (inputs - self.mean) / self.deviation


def build_network(
    name: str,
    input_shape: tuple[int, ...],
    classes: int,
    statistics: tuple[Sequence[float], Sequence[float]],
    seed: int,
) -> nn.Sequential:
    """Build a freshly initialised network.

    Parameters
    ----------
    name
        One of `NETWORKS`.
    input_shape
        ``(H, W, C)`` of an image or ``(D,)`` of a feature vector.
    classes
        Number of logits.
    statistics
        Mean and deviation of each channel (images, on the 0–1 scale) or feature.
    seed
        Decides the initial weights, and nothing else does.

    Returns
    -------
    torch.nn.Sequential
        ``standardise`` followed by ``network``; takes float inputs ``[B, C, H, W]`` or ``[B, D]``, returns logits
        ``[B, classes]``.
    """
    if len(input_shape) != 3 and name != "mlp" and name in NETWORKS:
        raise UsageError(
            f"network '{name}' takes images, but an input has shape {list(input_shape)}",
            hint="Use --network mlp for feature vectors.",
        )
    factory = NETWORKS.load(name)
    # The global generator is what torch's initialisers read: fork it, so that nobody else's draws are disturbed.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = factory(input_shape, classes)
    model = nn.Sequential(OrderedDict(standardise=Standardise(*statistics, len(input_shape)), network=network))
    return model.to(memory_format=torch.channels_last) if len(input_shape) == 3 else model
