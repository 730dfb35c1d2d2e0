"""What each dataset gets when nothing is said, and what this machine has."""

from __future__ import annotations

import os
from dataclasses import dataclass

#: The networks of this name, narrow or wide, are trained by the recipe of this name.
OWN_RECIPE = "airbench"


def has_own_recipe(network: str) -> bool:
    """Whether the network is one of ours that has a recipe of its own; a user's file may be called like it."""
    return ":" not in network and network.split("-")[0] == OWN_RECIPE and not network.endswith("-groupnorm")


@dataclass(frozen=True)
class Defaults:
    """The size of an audit that nobody specified.

    Parameters
    ----------
    network
        The default one.
    samples
        None means all of them.
    shadows
        Shadow models.
    epochs, augment
        For networks that train by the recipe ``fast``.
    own_epochs
        For networks with a recipe of their own.
    """

    network: str
    samples: int | None
    shadows: int
    epochs: int
    augment: str = "none"
    own_epochs: int = 12

    def epochs_of(self, network: str) -> int:
        """Return the epochs of that network."""
        return self.own_epochs if has_own_recipe(network) else self.epochs

    def augment_of(self, network: str) -> str:
        """Return how that network's images are augmented."""
        return "shift-flip" if has_own_recipe(network) else self.augment


#: On CPUs: sizes that two cores finish within the hour.
CPU_DEFAULTS = {
    "digits": Defaults("cnn", None, 32, 40),
    "mnist": Defaults("cnn", None, 16, 10),
    "cifar10": Defaults("airbench-narrow", 10_000, 16, 20),
    "cifar100": Defaults("airbench-narrow", 10_000, 16, 20),
    "tiny-imagenet": Defaults("airbench-narrow", 10_000, 16, 15),
}
#: On a GPU: whole datasets; where nothing faster was measured, by the paper's networks.
CUDA_DEFAULTS = {
    "digits": Defaults("cnn", None, 32, 40),
    "mnist": Defaults("cnn", None, 64, 10),
    "cifar10": Defaults("airbench", None, 64, 50, "crop-flip", own_epochs=24),
    "cifar100": Defaults("resnext50", None, 16, 50, "crop-flip"),
    "tiny-imagenet": Defaults("resnet50", None, 16, 50, "crop-flip"),
}
OTHER_IMAGES = Defaults("airbench-narrow", 10_000, 16, 20)
OTHER_FEATURES = Defaults("mlp", 20_000, 32, 20)


def defaults_for(dataset: str, device: str, is_image: bool) -> Defaults:
    """The default size of an audit of ``dataset`` on this kind of device."""
    known = CUDA_DEFAULTS if device == "cuda" else CPU_DEFAULTS
    return known.get(dataset, OTHER_IMAGES if is_image else OTHER_FEATURES)


def available_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
