"""Recipes: how a model is trained, by name, every parameter open to change."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from privaudit.errors import UsageError
from privaudit.training.private.mechanism import PrivateTraining

Augmentation = Literal["none", "flip", "crop", "crop-flip", "shift", "shift-flip"]


#: Where a triangle of learning rates begins and ends, as shares of its highest one.
FIRST_RATE, LAST_RATE = 0.2, 0.07

#: Parameters that came after audits had been named by the others: part of an audit's identity where they are used.
LATER = ("bias_rate", "averaging", "label_smoothing", "privacy")

#: The recipe that adds noise; `PrivateTraining` says how much.
PRIVATE = "dp-sgd"


class Recipe(BaseModel):
    """One way to train. Momentum SGD throughout; the schedule gives the learning rate of every step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    epochs: int = Field(ge=1)
    batch_size: int = Field(128, ge=1)
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(5e-4, ge=0, allow_inf_nan=False)
    schedule: Literal["one-cycle", "step", "constant", "triangle"]
    warmup: float = Field(0.2, ge=0, lt=1, description="one-cycle, triangle: share of steps in which the rate rises")
    milestones: tuple[float, ...] = Field((0.5, 0.75), description="step: shares of the training where the rate drops")
    drop: float = Field(0.1, gt=0, description="step: what the rate is multiplied by at each milestone")
    augment: Augmentation = "none"
    bias_rate: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="BatchNorm's biases learn so many times as fast"
    )
    averaging: bool = Field(False, description="end with an average over the path of the weights")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, allow_inf_nan=False, description="share of each label that is spread over all classes"
    )
    privacy: PrivateTraining | None = Field(None, description="dp-sgd: how samples are drawn, clipped and hidden")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Recipe:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def identity(self) -> dict[str, object]:
        """Return what an audit is named by: every parameter, later ones only where they are not at their default."""
        unused = {name for name in LATER if getattr(self, name) == Recipe.model_fields[name].default}
        return self.model_dump(mode="json", exclude=unused)

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate of step ``step`` of ``steps`` (counted from 0)."""
        progress = (step + 0.5) / steps
        if self.schedule == "triangle":
            # Linear up from a fifth, linear down to almost nothing.
            if progress < self.warmup:
                return self.learning_rate * (FIRST_RATE + (1 - FIRST_RATE) * progress / self.warmup)
            return self.learning_rate * (1 - (1 - LAST_RATE) * (progress - self.warmup) / (1 - self.warmup))
        if self.schedule == "one-cycle":
            # Linear up, then half a cosine down to zero.
            if progress < self.warmup:
                return self.learning_rate * progress / self.warmup
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))
        if self.schedule == "step":
            return self.learning_rate * self.drop ** sum(progress > milestone for milestone in self.milestones)
        return self.learning_rate


RECIPES = {
    "fast": Recipe(name="fast", epochs=20, learning_rate=0.05, nesterov=True, schedule="one-cycle"),
    # Jordan 2024 (arXiv 2404.00498). His learning rate of 11.5 is for sums over batches of 1,024 and comes to .375 for
    # means over 256, his weight decay to .0153 / 11.5; a higher rate, labels as they are and no identity at the start
    # did better here: docs/networks.md has what each ingredient buys.
    "airbench": Recipe(
        name="airbench",
        epochs=10,
        batch_size=256,
        learning_rate=0.5,
        momentum=0.85,
        nesterov=True,
        weight_decay=0.00133,
        schedule="triangle",
        warmup=0.23,
        augment="shift-flip",
        bias_rate=64.0,
        averaging=True,
    ),
    # Section "Training details" of the paper: 200 epochs, ÷10 after 100 and 150.
    "paper": Recipe(name="paper", epochs=200, learning_rate=0.1, schedule="step"),
    # Abadi et al. 2016. Weights are not decayed and images not augmented: noise does the former's work, and the latter
    # asks for passes that cost ε. docs/differential-privacy.md has what it reaches.
    PRIVATE: Recipe(
        name=PRIVATE, epochs=20, batch_size=256, learning_rate=0.25, momentum=0.9, weight_decay=0.0, schedule="constant"
    ),
}


def resolve_recipe(name: str, changes: dict[str, object]) -> Recipe:
    """The recipe ``name`` with some parameters changed; `UsageError` names a wrong one."""
    if name not in RECIPES:
        raise UsageError(f"unknown recipe '{name}'", hint=f"Known recipes: {', '.join(RECIPES)}.")
    given = {key: value for key, value in changes.items() if value is not None}
    try:
        return Recipe.model_validate(RECIPES[name].model_dump() | given)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "recipe"
        raise UsageError(
            f"recipe parameter {where} = {problem['input'] if problem['loc'] else name!r}: {problem['msg']}",
            hint=f"Recipe parameters: {', '.join(sorted(Recipe.model_fields))}.",
        ) from error
