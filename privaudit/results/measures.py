"""Figures that many results hold: an attack's, a correlation's, a comparison's. Intervals are 95%, low and high."""

from __future__ import annotations

from pydantic import Field

from privaudit.results.base import Result

Interval = tuple[float, float]


class Curve(Result):
    """An ROC at a few dozen false positive rates."""

    fpr: list[float]
    tpr: list[float]


class Influence(Result):
    """What each cluster of models contributes to the errors of an attack's AUC and, by FPR, of its TPR."""

    auc: list[float]
    tpr: dict[str, list[float]]


class Attack(Result):
    """How well an attack tells members from others.

    Parameters
    ----------
    auc, auc_ci, auc_standard_error
        In [0, 1]; no interval where there are too few models. The standard error is not written.
    tpr_at_fpr, tpr_ci, true_positives
        By FPR (``"0.01"``): None where the run can't resolve that FPR.
    smallest_fpr
        Above 0, the smallest that the run resolves.
    balanced_accuracy, positives, negatives, curve
        None where only a part of the attack was put on record.
    influence
        For comparing two audits; None where models do not come in clusters.
    """

    auc: float
    auc_ci: Interval | None
    auc_standard_error: float | None = Field(default=None, exclude=True)
    balanced_accuracy: float | None = None
    tpr_at_fpr: dict[str, float | None]
    tpr_ci: dict[str, Interval | None]
    true_positives: dict[str, int | None] | None = None
    smallest_fpr: float
    positives: int | None = None
    negatives: int | None = None
    curve: Curve | None = None
    influence: Influence | None = None

    def in_brief(self) -> Attack:
        """Return AUC and TPR with their intervals alone."""
        return Attack(
            auc=self.auc,
            auc_ci=self.auc_ci,
            tpr_at_fpr=self.tpr_at_fpr,
            tpr_ci=self.tpr_ci,
            smallest_fpr=self.smallest_fpr,
        )


class CalibratedRate(Result):
    """At one nominal FPR that each sample keeps by itself: the shares of members and of others that are named."""

    tpr: float
    tpr_ci: Interval | None
    fpr: float
    fpr_ci: Interval | None


class UnionRate(Result):
    """A union of attacks at one FPR.

    Parameters
    ----------
    tpr, fpr
        Where the union's own false alarms are at most that FPR.
    fpr_of_each
        What each attack may then raise at most.
    fpr_if_each_had_it, tpr_if_each_had_it
        Of the union where each attack alone is given that FPR: what is often called by the FPR of its parts.
    tpr_ci, tpr_if_each_had_it_ci, fpr_if_each_had_it_ci
        Over pairs of models; None below 4 pairs, and in earlier results.
    """

    tpr: float
    fpr: float
    fpr_of_each: float
    fpr_if_each_had_it: float
    tpr_if_each_had_it: float
    tpr_ci: Interval | None = None
    tpr_if_each_had_it_ci: Interval | None = None
    fpr_if_each_had_it_ci: Interval | None = None


class AttackUnion(Result):
    """Every attack together, a cell being named if any of them would; None at an FPR that the run can't resolve."""

    attacks: tuple[str, ...]
    auc: float
    at_fpr: dict[str, UnionRate | None]


class Correlation(Result):
    """Spearman's ρ of ``n`` samples; None where a side does not vary, its interval below 10 samples."""

    spearman: float | None
    ci: Interval | None
    n: int


class Share(Result):
    """A share of ``n`` samples with Wilson's interval; None of none."""

    rate: float | None
    ci: Interval | None
    n: int


class GroupComparison(Result):
    """Two groups of samples held against each other: means, their difference, and Mann and Whitney's test."""

    means: tuple[float, float]
    cis: tuple[Interval | None, Interval | None]
    difference: float
    difference_ci: Interval | None
    superiority: float
    p: float | None
    n: tuple[int, int]


class PairedDifference(Result):
    """First minus second, over pairs.

    Parameters
    ----------
    mean, ci
        By Student's t; no interval below 3 pairs, or where the differences do not vary.
    p
        Two-sided, of "the signs of the differences are coin flips"; None below 2 pairs.
    wins
        In how many of the ``pairs`` the first is larger.
    """

    mean: float
    ci: Interval | None
    p: float | None
    wins: int
    pairs: int


class Difference(Result):
    """Of an estimate in audit ``b`` less that in audit ``a``; no interval where a side has fewer than 4 clusters."""

    a: float
    b: float
    difference: float
    ci: Interval | None
