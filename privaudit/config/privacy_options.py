"""The options of a promise of differential privacy, and of what is inferred besides membership."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from privaudit.config.options import Options
from privaudit.config.table_options import Columns


class PrivateTrainingOptions(Options):
    """What the recipe dp-sgd promises, and by which means."""

    epsilon: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="dp-sgd: the ε that training keeps to [8]."
    )
    delta: float | None = Field(None, gt=0, lt=1, description="dp-sgd: its δ [1e-5].")
    max_grad_norm: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="dp-sgd: each sample's gradient is clipped to this norm [1]."
    )
    noise_multiplier: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="dp-sgd: noise of so many times that norm, instead of --epsilon, which follows from it.",
    )

    def private_training(self) -> dict[str, float]:
        """Return those that were given, by name."""
        named = ("epsilon", "delta", "max_grad_norm", "noise_multiplier")
        return {name: getattr(self, name) for name in named if getattr(self, name) is not None}


class ClaimOptions(Options):
    """A promise that is held against the audit, and what it is held by."""

    canary_kind: Literal["mislabelled", "noise", "blank", "gradient"] = Field(
        "mislabelled",
        description="What canaries are: mislabelled test samples, noise, blank inputs; gradients (dp-sgd) [{default}].",
    )
    claim_epsilon: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Hold this ε against the canaries [dp-sgd's, or the declared one]."
    )
    claim_delta: float | None = Field(None, ge=0, lt=1, description="Its δ [dp-sgd's, the declared one, or 1e-5].")


class InferenceOptions(Options):
    """What else an attacker may want to know."""

    sensitive: Columns = Field(
        (),
        description="A column of a table to guess from the others, the label and a model's answers. May be repeated.",
    )
    reconstruct_classes: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="Whether to reconstruct what each class looks like from the models: auto (with --invert, where it "
        "takes seconds, of images), yes or no [{default}].",
    )
