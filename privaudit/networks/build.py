"""Networks by name or ``module:factory``. Each is a function ``(input_shape, classes) -> nn.Module``.

Its inputs are standardised already.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from privaudit.errors import PrivauditError, UsageError
from privaudit.registry import Registry, aside, import_reference, source_digest
from privaudit.torch_globals import full_fp32, seeded_globals

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
        return (inputs - self.mean).div_(self.deviation)


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
        One of `NETWORKS`, or ``module:factory``.
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
    return assemble(load_factory(name, input_shape), name, input_shape, classes, statistics, seed)


def load_factory(name: str, input_shape: tuple[int, ...]) -> Any:
    """The function that ``module:factory``, ``FILE.py:factory`` or a registered name stands for.

    `UsageError` where there is none, or where it is one of ours that takes images and an input is none.
    """
    # Training scripts often lower torch's precision where they are imported: that must not reach what runs after it.
    with full_fp32():
        factory = import_reference(name, "network") if ":" in name else NETWORKS.load(name)
    if len(input_shape) != 3 and name != "mlp" and name in NETWORKS:
        raise UsageError(
            f"network '{name}' takes images, but an input has shape {list(input_shape)}",
            hint="Use --network mlp for feature vectors.",
        )
    return factory


def assemble(
    factory: Any,
    name: str,
    input_shape: tuple[int, ...],
    classes: int,
    statistics: tuple[Sequence[float], Sequence[float]],
    seed: int,
) -> nn.Sequential:
    """The same with the factory at hand; ``name`` is what messages call it."""
    # Torch's initialisers draw from the global generators. What a user's code sets for all of torch stays its own.
    with full_fp32(), seeded_globals(seed):
        network = _call(factory, name, input_shape, classes)
    model = nn.Sequential(OrderedDict(standardise=Standardise(*statistics, len(input_shape)), network=network))
    return model.to(memory_format=torch.channels_last) if len(input_shape) == 3 else model


def _call(factory: Any, name: str, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    try:
        with aside():
            network = factory(input_shape, classes)
    except PrivauditError:
        raise
    except Exception as error:
        raise UsageError(
            f"network '{name}' can't be built for inputs {list(input_shape)} and {classes} classes: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"network '{name}' is a {type(network).__name__}: the function must return a torch.nn.Module")
    return network


def network_source(name: str) -> str | None:
    """SHA-256 of the file that defines a ``module:factory`` network: other code, other weights. None for names."""
    return source_digest(import_reference(name, "network")) if ":" in name else None


def check_network(model: nn.Module, input_shape: tuple[int, ...], classes: int, batch_size: int) -> None:
    """Take one training step's forward pass with noise; `UsageError` where the network does not fit the data.

    The batch has two samples (or one, where batches are to have one): the fewest that a training will meet.
    """
    device = next(model.parameters()).device
    shape = (input_shape[2], *input_shape[:2]) if len(input_shape) == 3 else input_shape
    try:
        logits = model.train()(torch.zeros(min(batch_size, 2), *shape, device=device))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        few = " with --batch-size 1 (BatchNorm needs 2 samples)" if batch_size == 1 else ""
        raise UsageError(
            f"the network can't train on inputs {list(input_shape)}{few}: {str(error).splitlines()[0]}"
        ) from error
    if logits.ndim != 2 or logits.shape[1] != classes:
        raise UsageError(
            f"the network returns {list(logits.shape[1:])} logits a sample; {classes} classes need [{classes}]"
        )
