"""What changed between two audits of the same samples: ``comparison.json``, which ``compare --json`` prints."""

from __future__ import annotations

from typing import Literal

from privaudit.results.audit.audit_description import EstimatorIdentity, RecipeDescription, TrainingFunctionIdentity
from privaudit.results.audit.score_results import Accuracy
from privaudit.results.base import Result
from privaudit.results.measures import Correlation, Difference, Interval
from privaudit.results.report_paths import ReportPaths

Verdict = Literal["b leaks less", "b leaks more", "no difference shown", "too few models"]


class ComparedAudit(Result):
    """One side: what was audited, how, and whether it can be relied on. What only signals don't tell is None."""

    audit: str
    network: str | None
    recipe: RecipeDescription | None
    training_function: TrainingFunctionIdentity | None = None
    estimator: EstimatorIdentity | None = None
    seed: int | None
    shadows: int
    statistic: str
    accuracy: Accuracy | None
    controls_hold: bool
    controls_run: bool
    warnings: tuple[str, ...] = ()
    sha256: dict[str, str]


class ComparedAttack(Result):
    """An attack in both audits; by FPR, None where a side does not resolve it."""

    auc: Difference
    tpr_at_fpr: dict[str, Difference | None]


class HighRisk(Result):
    """How many samples are told right in at least nine of ten models."""

    a: int
    b: int


class ChangedSamples(Result):
    """How many samples' risk fell or rose, and by more than its own interval; how alike the two rank them."""

    spearman: Correlation
    fell: int
    rose: int
    fell_beyond_interval: int
    rose_beyond_interval: int
    high: HighRisk


class GroupRisk(Result):
    """Mean risk of a group in one audit."""

    mean: float
    ci: Interval | None


class ComparedGroup(Result):
    """A group that both audits know."""

    name: str
    samples: int
    a: GroupRisk
    b: GroupRisk


class SettingDifference(Result):
    """One thing in which the audits differ: what kind of thing it is ``of``, and how it was on either side."""

    of: Literal["configuration", "data", "attack settings"]
    what: str
    a: str
    b: str


class ComparisonResults(Result):
    """Audit ``b`` held against audit ``a``.

    Parameters
    ----------
    paired
        Whether both split the samples alike, so that they are compared pair by pair.
    checked_by
        What says that the samples are the same.
    groups
        By property, those of falling risk in ``a`` first.
    differs
        In what the audits differ besides their results, as far as it is on record.
    accuracy
        Of shadow models on samples that they did not see: what B's change cost; None where it is not known.
    """

    a: ComparedAudit
    b: ComparedAudit
    samples: int
    paired: bool
    checked_by: str
    attacks: dict[str, ComparedAttack]
    mean_risk: Difference
    changed: ChangedSamples
    groups: dict[str, list[ComparedGroup]]
    verdict: Verdict
    differs: tuple[SettingDifference, ...] = ()
    accuracy: Difference | None = None
    warnings: tuple[str, ...] = ()


class ComparisonAnswer(ComparisonResults):
    """What ``compare --json`` prints: the results, the report's paths and their folder."""

    report: ReportPaths
    folder: str
