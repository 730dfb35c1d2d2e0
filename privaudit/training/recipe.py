"""Recipes: how a model is trained, by name, every parameter open to change."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from privaudit.errors import UsageError

Augmentation = Literal["none", "flip", "crop", "crop-flip"]


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
    schedule: Literal["one-cycle", "step", "constant"]
    warmup: float = Field(0.2, ge=0, lt=1, description="one-cycle: the share of steps in which the rate rises")
    milestones: tuple[float, ...] = Field((0.5, 0.75), description="step: shares of the training where the rate drops")
    drop: float = Field(0.1, gt=0, description="step: what the rate is multiplied by at each milestone")
    augment: Augmentation = "none"

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Recipe:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate of step ``step`` of ``steps`` (counted from 0)."""
        progress = (step + 0.5) / steps
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
    # Section "Training details" of the paper: 200 epochs, ÷10 after 100 and 150.
    "paper": Recipe(name="paper", epochs=200, learning_rate=0.1, schedule="step"),
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
