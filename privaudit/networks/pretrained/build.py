"""A pretrained network as a classifier of an audit, its head alone, and what its frozen rest makes of images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from privaudit.errors import PrivauditError, UsageError
from privaudit.networks.build import Standardise
from privaudit.networks.classifier import Classifier
from privaudit.networks.pretrained.description import Preparation, Pretrained
from privaudit.networks.pretrained.libraries import (
    build_timm,
    build_transformers,
    names_of_transformers,
    prepare_timm,
    prepare_transformers,
)
from privaudit.networks.pretrained.trained_part import find_heads, freeze, frozen_norms
from privaudit.networks.pretrained.weights import give_weights, read_weights, weight_files
from privaudit.runtime.registry import without_folder
from privaudit.runtime.torch_globals import full_fp32, seeded_globals
from privaudit.runtime.user_code import user_code

Statistics = tuple[Sequence[float], Sequence[float]]


class Prepare(Standardise):
    """Resize images to what a network was trained with, and normalise them as it was.

    A grey image becomes three equal channels.
    """

    def __init__(self, preparation: Preparation) -> None:
        super().__init__(preparation.mean, preparation.deviation, 3)
        self.size = preparation.size
        self.interpolation = preparation.interpolation

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(resized(inputs, self.size, self.interpolation))


def resized(images: torch.Tensor, size: int, interpolation: str) -> torch.Tensor:
    """Images ``[B, C, size, size]``, smoothed where they are reduced; such already, they stay as they are."""
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, (size, size), mode=interpolation, align_corners=False, antialias=True)


class PretrainedClassifier(Classifier):
    """Preparation, then the network; while it trains, layers of it that are frozen keep their running statistics.

    Parameters
    ----------
    preparation
        How images are given to the network.
    network, classes
        As of a `Classifier`.
    heads
        Names of its linear layers that give logits.
    """

    def __init__(self, preparation: Preparation, network: nn.Module, classes: int, heads: Sequence[str]) -> None:
        super().__init__(Prepare(preparation), network, classes)
        self.network: nn.Module = network
        self.heads = tuple(heads)
        self._still = frozen_norms(network)

    def train(self, mode: bool = True) -> PretrainedClassifier:
        super().train(mode)
        for name in self._still:
            self.network.get_submodule(name).train(False)
        return self


def prepare(network: str, weights: Path | None) -> Preparation:
    """Return what a pretrained network wants of its images; ``weights`` says where its own lie, None for random."""
    return prepare_timm(network, weights) if network.startswith("timm:") else prepare_transformers(network)


def build_pretrained(pretrained: Pretrained, classes: int, seed: int) -> PretrainedClassifier:
    """Build a pretrained network with a head that was drawn anew.

    Parameters
    ----------
    pretrained
        Which.
    classes
        Number of logits C.
    seed
        Decides the head, and where no weights are given all the rest.

    Returns
    -------
    PretrainedClassifier
        Takes images ``[B, 1 or 3, H, W]`` on the 0–1 scale, returns logits ``[B, C]``.

    Raises
    ------
    UsageError
        Where it can't be built.
    DataError
        Where its weights are not its own.
    """
    network, heads = _network(pretrained, classes, seed)
    if pretrained.weights is not None:
        give_weights(network, _tensors(pretrained.weights, pretrained, network), heads, pretrained.weights)
    if not pretrained.is_frozen:
        freeze(network, pretrained.train)
    model = PretrainedClassifier(pretrained.preparation, network, classes, heads)
    return model.to(memory_format=torch.channels_last)


def left_out(pretrained: Pretrained, classes: int) -> tuple[str, ...]:
    """Names in the file of weights that the network has no place for; `DataError` where it lacks what it needs."""
    if pretrained.weights is None:
        return ()
    network, heads = _network(pretrained, classes, 0)
    return give_weights(network, _tensors(pretrained.weights, pretrained, network), heads, pretrained.weights)


def _tensors(path: Path, pretrained: Pretrained, network: nn.Module) -> Mapping[str, torch.Tensor]:
    """Read the weights, by the names of this network."""
    tensors = read_weights(weight_files(path))
    return tensors if pretrained.library == "timm" else names_of_transformers(network, tensors)


def _network(pretrained: Pretrained, classes: int, seed: int) -> tuple[nn.Module, tuple[str, ...]]:
    name = pretrained.network
    try:
        with full_fp32(), seeded_globals(seed), user_code(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if pretrained.library == "timm":
                network, hinted = build_timm(name, pretrained.preparation.size, classes)
            else:
                network, hinted = build_transformers(name, classes)
    except PrivauditError:
        raise
    except Exception as error:
        raise UsageError(
            f"network '{without_folder(name)}' can't be built: {type(error).__name__}: "
            f"{(str(error).splitlines() or [''])[0][:300]}"
        ) from error
    return network, find_heads(network, classes, hinted)


def head_of(model: PretrainedClassifier, network: str) -> nn.Linear:
    """Return the one linear layer that gives logits; `UsageError` where ``--train head`` has none to train."""
    layers = [model.network.get_submodule(name) for name in model.heads]
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear):
        raise UsageError(
            f"network '{without_folder(network)}' ends in {len(layers)} linear layers: --train head needs one",
            hint="--train all trains all of it.",
        )
    return layers[0]


def build_head(width: int, classes: int, statistics: Statistics, seed: int) -> Classifier:
    """Build a head as a model of its own: embeddings ``[B, D]`` standardised, then a linear layer, ``[B, C]``."""
    with full_fp32(), seeded_globals(seed):
        return Classifier(Standardise(*statistics, 1), nn.Linear(width, classes), classes)


def embedder(pretrained: Pretrained, classes: int) -> PretrainedClassifier:
    """Return the network without its head, in eval mode: images in, embeddings ``[B, D]`` out."""
    model = build_pretrained(pretrained, classes, 0).eval()
    width = head_of(model, pretrained.network).in_features
    model.network.set_submodule(model.heads[0], nn.Identity())
    model.classes = width
    return model


def width_of_head(pretrained: Pretrained, classes: int) -> int:
    """How many numbers an embedding has."""
    network, heads = _network(pretrained, classes, 0)
    return head_of(
        PretrainedClassifier(pretrained.preparation, network, classes, heads), pretrained.network
    ).in_features


def whole_state(model: PretrainedClassifier, head: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Put the weights of a head that `build_head` built into the whole network: its standardisation is folded in.

    ``W (e − μ) / σ + b`` is ``(W / σ) e + (b − (W / σ) μ)``.
    """
    parts = ("standardise.mean", "standardise.deviation", "network.weight", "network.bias")
    mean, deviation, weight, bias = (head[name].double() for name in parts)
    folded = weight / deviation.reshape(1, -1)
    name = f"network.{model.heads[0]}"
    return model.state_dict() | {
        f"{name}.weight": folded.float(),
        f"{name}.bias": (bias - folded @ mean.flatten()).float(),
    }
