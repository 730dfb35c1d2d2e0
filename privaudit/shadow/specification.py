"""What decides a model's weights besides who its members are: its network, recipe, seed and hardware."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from privaudit.estimators.stored_answers import StoredAnswers
from privaudit.networks import build_network
from privaudit.networks.pretrained.build import build_head, build_pretrained
from privaudit.networks.pretrained.description import Pretrained
from privaudit.runtime.seeds import derive_seed
from privaudit.training.hardware import Hardware
from privaudit.training.recipe import Augmentation, Recipe


@dataclass(frozen=True)
class ModelSpecification:
    """Everything besides its members and its key that decides a model's weights.

    ``training`` names a function of the user's that trains in place of the recipe, which then decides nothing;
    ``estimator`` an estimator in place of network and recipe.
    ``pretrained`` says what a network of timm or transformers starts from; where only its head is trained, inputs are
    embeddings.
    """

    network: str
    input_shape: tuple[int, ...]
    classes: int
    statistics: tuple[tuple[float, ...], tuple[float, ...]]
    recipe: Recipe
    seed: int
    hardware: Hardware
    training: str | None = None
    estimator: str | None = None
    pretrained: Pretrained | None = None

    @property
    def by_recipe(self) -> bool:
        """Whether a network is trained by the recipe, so that it decides anything."""
        return self.training is None and self.estimator is None

    @property
    def augment(self) -> Augmentation | None:
        """How images are altered in training; None where a function of the user's decides it."""
        return self.recipe.augment if self.training is None else None

    @property
    def is_head(self) -> bool:
        """Whether models are heads, which take what the rest of a pretrained network makes of images."""
        return self.pretrained is not None and self.pretrained.is_frozen

    def build(self, *purpose: str | int) -> nn.Module:
        """A freshly initialised network on the device; equal purposes give equal weights.

        Of an estimator, which is made when it is fitted, a table of no answers.
        """
        if self.estimator is not None:
            return StoredAnswers.empty(self.classes)
        seed = derive_seed(self.seed, "initialise", *purpose)
        network: nn.Module
        if self.pretrained is None:
            network = build_network(self.network, self.input_shape, self.classes, self.statistics, seed)
        elif self.is_head:
            network = build_head(self.input_shape[0], self.classes, self.statistics, seed)
        else:
            network = build_pretrained(self.pretrained, self.classes, seed)
        return network.to(self.hardware.torch_device)
