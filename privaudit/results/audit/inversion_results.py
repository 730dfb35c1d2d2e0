"""What gradient inversion found: the ``inversion`` object of ``score.json``."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from privaudit.results.base import Result
from privaudit.results.measures import Correlation, GroupComparison, Share

#: By criterion (``recovered``, ``identified``, ``psnr_above_20``, ``ssim_above_0.5``, ``ssim_above_0.9``).
Outcomes = dict[str, Share]


class PairedCorrelation(Correlation):
    """Spearman's ρ, averaged over pairs of restarts or models."""

    pairs: int


class Tier(Result):
    """One way of inverting: T1 (features, or the first layer in closed form) or T2 (gradient matching).

    Parameters
    ----------
    samples, models
        How many of each.
    outcomes
        Of samples that were drawn at random.
    psnr_quantiles, psnr_by_model
        dB; the 5, 25, 50, 75 and 95% quantiles.
    reliability
        How alike two ``restarts``, and two ``models``, rank the samples.
    confounders
        What the PSNR goes with.
    kind
        Of T1 alone.
    random, restarts, labels_right, steps, objective_and_psnr
        Of T2 alone.
    """

    samples: int
    models: int
    outcomes: Outcomes
    psnr_quantiles: list[float]
    psnr_by_model: list[float]
    reliability: dict[str, PairedCorrelation]
    confounders: dict[str, Correlation]
    kind: str | None = None
    random: int | None = None
    restarts: int | None = None
    labels_right: float | None = None
    steps: float | None = None
    objective_and_psnr: Correlation | None = None


class HighAndLow(Result):
    """Values of the samples that are easiest to invert, and of as many others."""

    high: list[float]
    low: list[float]


class InversionGroups(Result):
    """The easiest samples held against random ones (the paper's Figure 2)."""

    size: int
    chosen_by: str
    high: Outcomes
    compared: dict[str, GroupComparison]
    values: dict[str, HighAndLow]


class AttackParameters(Result):
    """Those of an inversion attack that the report names; the others are kept."""

    model_config = ConfigDict(extra="allow")

    cost: str
    optimiser: str
    steps: int
    joint_label: bool


class FeatureParameters(Result):
    """Those of the attack by features, none of which the report names."""

    model_config = ConfigDict(extra="allow")


class EngineChoice(Result):
    """Which gradient engine ran, its batch, seconds a sample and step of matching, and why no other.

    ``reason``: why not another engine, where that was not merely slower.
    """

    engine: Literal["looped", "vmapped", "layerwise"]
    batch: int
    matching_seconds: float | None = None
    reason: str | None = None


class InversionResults(Result):
    """What was inverted, how, and what came back.

    Parameters
    ----------
    at, preset, asked
        As asked for.
    gradient_noise, gradient_clip
        The defence that was simulated.
    reference
        How many images the identification goes by.
    risk_models, risk_of_others
        How many shadow models risk is taken from, and whether none of them was inverted.
    null
        What guesses that owe nothing to the gradient achieve.
    """

    at: str
    preset: str
    asked: str | None
    attack: AttackParameters
    feature_attack: FeatureParameters
    gradient_noise: float
    gradient_clip: float | None
    reference: int
    risk_models: int
    risk_of_others: bool
    proxies: dict[str, int]
    features: Tier | None
    matching: Tier | None
    groups: InversionGroups | None
    null: dict[str, Outcomes]
    warnings: list[str]
    notes: tuple[str, ...] = ()
    engine: EngineChoice | None = None
    seconds: float | None = None
    reconstructions: str | None = None

    @property
    def drawn(self) -> Tier | None:
        """The strongest tier that was run."""
        return self.matching or self.features
