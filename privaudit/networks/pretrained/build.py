"""A pretrained network as a classifier of an audit, its head alone, and what its frozen rest makes of images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from privaudit.errors import PrivauditError, UsageError
from privaudit.networks.build import Standardise
from privaudit.networks.classifier import Classifier
from privaudit.networks.pretrained.description import ALL, Preparation, Pretrained
from privaudit.networks.pretrained.libraries import (
    build_timm,
    build_transformers,
    names_of_transformers,
    prepare_timm,
    prepare_transformers,
)
from privaudit.networks.pretrained.weights import give_weights, listed, read_weights, weight_files
from privaudit.runtime.registry import import_reference, without_folder
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


RETURN = (
    "Return some of network.parameters(), or names of them: [*network.layer4.parameters(), *network.fc.parameters()]."
)


def find_heads(network: nn.Module, classes: int, hinted: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the linear layers that give logits: those that the library names, else the last that fits."""
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Linear) and name}
    fitting = [name for name, layer in layers.items() if layer.out_features == classes]
    named = [name for name in fitting if any(name == hint or name.startswith(f"{hint}.") for hint in hinted)]
    return tuple(named or fitting[-1:])


def freeze(network: nn.Module, train: str) -> None:
    """Leave gradients to what is to be trained: all of it, or what a function names.

    Raises
    ------
    UsageError
        Where the function fails, or names anything but parameters of the network.
    """
    if train == ALL:
        return
    function, name = import_reference(train, "function of --train"), without_folder(train)
    try:
        with user_code():
            chosen = list(function(network))
    except PrivauditError:
        raise
    except Exception as error:
        raise UsageError(f"--train {name} failed: {type(error).__name__}: {error}", hint=RETURN) from error
    parameters = dict(network.named_parameters())
    kept = _ids(chosen, parameters, name)
    for parameter in parameters.values():
        parameter.requires_grad_(id(parameter) in kept)


def _ids(chosen: Sequence[Any], parameters: dict[str, nn.Parameter], name: str) -> set[int]:
    own = {id(parameter) for parameter in parameters.values()}
    kept = set()
    for one in chosen:
        if isinstance(one, str) and one not in parameters:
            raise UsageError(
                f"--train {name}: the network has no parameter '{one[:80]}'; there are {listed(list(parameters))}",
                hint=RETURN,
            )
        parameter = parameters[one] if isinstance(one, str) else one
        if id(parameter) not in own:
            raise UsageError(
                f"--train {name} returns a {type(one).__name__} that is no parameter of the network", hint=RETURN
            )
        kept.add(id(parameter))
    if not kept:
        raise UsageError(f"--train {name} names no parameter: nothing would be trained", hint=RETURN)
    return kept


def frozen_norms(network: nn.Module) -> list[str]:
    """Return the names of layers that keep running statistics and train no parameter: these stand still.

    A layer without parameters stands still with the layers around it: where nothing of the network's is frozen, none.
    """
    if all(parameter.requires_grad for parameter in network.parameters()):
        return []
    return [
        name
        for name, layer in network.named_modules()
        if getattr(layer, "running_mean", None) is not None
        and not any(parameter.requires_grad for parameter in layer.parameters(recurse=False))
    ]
