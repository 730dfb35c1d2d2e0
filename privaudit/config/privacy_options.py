"""The options of a promise of differential privacy: how it is kept in training, and how it is held against an audit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from privaudit.config.options import Options


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
