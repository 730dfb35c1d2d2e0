"""Audits whose answer is known, repeated inputs, and bounds on ε: parts of ``score.json``."""

from __future__ import annotations

from privaudit.results.base import Result
from privaudit.results.measures import Interval


class NegativeControl(Result):
    """An audit in which there is nothing to find; it fails where it finds something."""

    auc: float
    ci: Interval | None
    standard_error: float
    holds: bool


class PositiveControl(Result):
    """Mean attack success rate of canaries, and of the others."""

    count: int
    mean_asr: float
    others_mean_asr: float


class Sides(Result):
    """How many samples of either side were looked at."""

    training: int
    test: int


class BlindBaseline(Result):
    """Training told from test samples without a model; ``p`` is the smaller of its two parts', corrected."""

    auc: float
    ci: Interval | None
    p: float
    inputs_p: float
    classes_p: float
    holds: bool
    samples: Sides


class SpreadOfModels(Result):
    """The never-seen control's AUC, model by model."""

    lowest: float
    highest: float
    spread: float
    spread_by_chance: float


class UnseenControl(Result):
    """Never-seen training samples told from test samples."""

    auc: float
    ci: Interval | None
    margin_auc: float
    of_models: SpreadOfModels
    p: float
    holds: bool
    models: int
    samples: Sides


class Controls(Result):
    """Audits whose answer is known; None where a control could not be run."""

    negative: NegativeControl | None
    untrained: NegativeControl | None
    positive: PositiveControl | None
    blind: BlindBaseline | None = None
    shift: UnseenControl | None = None


class NearDuplicates(Result):
    """How many of those that were asked have a near-duplicate on the training side."""

    asked: Sides
    test: int
    training: int


class Duplicates(Result):
    """How often inputs come twice: counts alone, no samples.

    ``ordinary``: as often as chance makes it in data of few values.
    """

    training: int
    test: int
    test_in_training: int
    test_in_training_share: float
    same_label: int
    within_training: int
    ordinary: bool
    near: NearDuplicates | None


class TrialsBound(Result):
    """A lower bound on ε from trainings with and without one canary."""

    epsilon: float
    delta: float
    confidence: float
    canary: int
    hits: int
    alarms: int
    trials: int


class OneRunBound(Result):
    """A lower bound on ε from one training with many canaries."""

    epsilon: float
    delta: float
    confidence: float
    correct: int
    canaries: int


class Epsilon(Result):
    """Lower bounds on ε; ``trials_from``: below so many models there is none from trials."""

    trials: TrialsBound | None
    trials_from: int | None = None
    one_run: OneRunBound
