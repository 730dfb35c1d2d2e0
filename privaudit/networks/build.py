"""Networks by name or ``module:factory``. Each is a function ``(input_shape, classes) -> nn.Module``.

Its inputs are standardised already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from privaudit.errors import PrivauditError, UsageError
from privaudit.networks.classifier import Classifier
from privaudit.objects.held import is_held_name
from privaudit.objects.network import identity_of, network_of
from privaudit.runtime.registry import Registry, import_reference, source_digest
from privaudit.runtime.torch_globals import full_fp32, seeded_globals
from privaudit.runtime.user_code import user_code

NETWORKS = Registry(
    "network",
    {
        "airbench": "privaudit.networks.airbench:build_airbench",
        "airbench-groupnorm": "privaudit.networks.group_norm:build_airbench_groupnorm",
        "airbench-narrow": "privaudit.networks.airbench:build_narrow",
        "airbench-wide": "privaudit.networks.airbench:build_wide",
        "cnn": "privaudit.networks.cnn:build_cnn",
        "cnn-dropout": "privaudit.networks.cnn:build_dropout",
        "cnn-narrow": "privaudit.networks.cnn:build_narrow",
        "mlp": "privaudit.networks.mlp:build_mlp",
        "mlp-dropout": "privaudit.networks.mlp:build_dropout",
        "mlp-narrow": "privaudit.networks.mlp:build_narrow",
        "resnet18": "privaudit.networks.residual:build_resnet18",
        "resnet18-groupnorm": "privaudit.networks.group_norm:build_resnet18_groupnorm",
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
) -> Classifier:
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
    Classifier
        ``standardise`` followed by ``network``; takes float inputs ``[B, C, H, W]`` or ``[B, D]``, returns logits
        ``[B, classes]``.
    """
    return assemble(load_factory(name, input_shape), name, input_shape, classes, statistics, seed)


def load_factory(name: str, input_shape: tuple[int, ...]) -> Any:
    """The function that ``module:factory``, ``FILE.py:factory``, a registered name or that of an object stands for.

    `UsageError` where there is none, or where it is one of ours that takes images and an input is none.
    """
    if is_held_name(name):
        return network_of(name)
    # Training scripts often lower torch's precision where they are imported: that must not reach what runs after it.
    with full_fp32():
        factory = import_reference(name, "network") if ":" in name else NETWORKS.load(name)
    if len(input_shape) != 3 and name.split("-")[0] != "mlp" and name in NETWORKS:
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
) -> Classifier:
    """The same with the factory at hand; ``name`` is what messages call it."""
    # Torch's initialisers draw from the global generators. What a user's code sets for all of torch stays its own.
    with full_fp32(), seeded_globals(seed):
        network = _call(factory, name, input_shape, classes)
        _materialise(network, name, input_shape)
    if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
        raise UsageError(f"network '{name}' is on torch's meta device: it has shapes and no weights to start from")
    model = Classifier(Standardise(*statistics, len(input_shape)), network, classes)
    return model.to(memory_format=torch.channels_last) if len(input_shape) == 3 else model


def _call(factory: Any, name: str, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    try:
        with user_code():
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


def _materialise(network: nn.Module, name: str, input_shape: tuple[int, ...]) -> None:
    """Give lazy layers their shapes, and with them their weights, by two inputs of zeros."""
    tensors = [*network.parameters(), *network.buffers()]
    if not any(is_lazy(tensor) for tensor in tensors):
        return
    training = network.training
    try:
        with user_code(), torch.no_grad():
            network.eval()(torch.zeros(2, *batch_shape(input_shape)))
    except PrivauditError:
        raise
    except Exception as error:
        raise UsageError(
            f"network '{name}' has lazy layers, which can't be given their shapes: {type(error).__name__}: {error}"
        ) from error
    network.train(training)


def batch_shape(input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one sample as a network takes it: ``(C, H, W)`` of an image ``(H, W, C)``."""
    return (input_shape[2], *input_shape[:2]) if len(input_shape) == 3 else input_shape


def network_source(name: str) -> str | None:
    """SHA-256 of the code of a network that is not ours: other code, other weights.

    Of the file that defines a ``module:factory``, of the package that brings a registered name, of the source of a
    function that lives in no file; None for our own.
    """
    if is_held_name(name):
        return identity_of(name).digest
    return source_digest(import_reference(name, "network")) if ":" in name else NETWORKS.source(name)


def check_network(model: nn.Module, input_shape: tuple[int, ...], classes: int, batch_size: int) -> None:
    """Take one training step's forward pass with noise; `UsageError` where the network does not fit the data.

    The batch has two samples (or one, where batches are to have one): the fewest that a training will meet.
    """
    parameters = list(model.parameters())
    if not parameters:
        raise UsageError("the network has no parameters: there is nothing to train")
    noise = torch.zeros(min(batch_size, 2), *batch_shape(input_shape), device=parameters[0].device)
    try:
        with user_code():
            logits = model.train()(noise)
    except PrivauditError:
        raise
    except Exception as error:
        few = " with --batch-size 1 (BatchNorm needs 2 samples)" if batch_size == 1 else ""
        raise UsageError(
            f"the network can't train on inputs {list(input_shape)}{few}: {type(error).__name__}: "
            f"{(str(error).splitlines() or [''])[0]}"
        ) from error
    if logits.shape[1] != classes:
        raise UsageError(
            f"the network returns {list(logits.shape[1:])} logits a sample; {classes} classes need [{classes}]",
            hint="One number for two classes leaves open what it means: end in nn.Linear(…, 2)."
            if classes == 2 and logits.shape[1] == 1
            else None,
        )
