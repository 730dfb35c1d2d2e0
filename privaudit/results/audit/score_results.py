"""What an audit found: ``score.json``, which ``score --json`` prints."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from privaudit.results.audit.attribute_results import AttributeResults
from privaudit.results.audit.audit_description import AuditIdentity, DataDescription, GivenTargetDescription
from privaudit.results.audit.class_results import ClassResults
from privaudit.results.audit.controls import Controls, Duplicates, Epsilon
from privaudit.results.audit.inversion_results import InversionResults
from privaudit.results.audit.outliers import Outliers
from privaudit.results.audit.promise import Promise
from privaudit.results.audit.realistic_inversion import RealisticInversion
from privaudit.results.base import Result
from privaudit.results.measures import Attack, AttackUnion, CalibratedRate, Correlation, Interval
from privaudit.results.report_paths import ReportPaths
from privaudit.results.statement.subject_risk import SubjectRisk


class TargetAttack(Attack):
    """How well the target's members are told from test samples, and what is to be said of that figure."""

    warnings: tuple[str, ...] = ()


class GroupExposure(Result):
    """One group's risk.

    Parameters
    ----------
    mean, ci
        Mean attack success rate; the interval is over pairs of models, None below 4.
    high
        How many samples are told right in at least 90% of the models.
    p
        Of the group against all others, after Holm's correction.
    attack
        How well members are told from others within the group.
    """

    name: str
    samples: int
    mean: float
    ci: Interval | None
    high: int
    p: float | None = None
    attack: Attack | None = None


class Exposure(Result):
    """Risk by the groups of one property, the most exposed first; earlier results name no ``unit`` of the test."""

    p: float | None
    unit: str | None = None
    groups: list[GroupExposure]


class Clusters(Result):
    """What two audits need to be compared in pairs: the digest of the design, and each cluster's influence."""

    design: str
    risk_influence: list[float]


class Stability(Result):
    """How far the ranking of samples can be trusted.

    Parameters
    ----------
    split_half, split_half_ci
        Spearman's ρ between random halves of the models, −1 … 1; earlier results have no interval.
    spread
        Its standard deviation over splits.
    reliability, ci
        How far another audit as large would agree; None where no ranking can be told from chance.
    models_needed, most_models
        How many would agree by .9, and how many were considered.
    """

    split_half: float
    spread: float
    split_half_ci: Interval | None = None
    reliability: float | None = None
    ci: Interval | None = None
    models_needed: int | None = None
    most_models: int | None = None


class MostExposed(Result):
    """Mean risk of the ``count`` most exposed, by the models that picked them and by the others."""

    count: int
    by_pickers: float
    by_others: float
    ci: Interval | None


class ToldRight(Result):
    """How many samples are told right in at least 90% of the models, how many by chance, and how many are confirmed.

    ``named`` says whether single samples may be named, ``reason`` why not.
    """

    at_least: float
    samples: int
    chance: float
    confirmed: float | None
    chance_confirmed: float | None
    leaders: int
    leaders_confirmed: float | None
    named: bool
    reason: str | None


class RiskAndDifficulty(Result):
    """How risk goes with intrinsic shift, and with the loss that stands in for it."""

    intrinsic_shift: Correlation | None
    loss_as_proxy: Correlation | None


class Accuracy(Result):
    """Shares of right answers; of external signals those of shadow models alone.

    ``others_influence`` is what each cluster of models contributes to the error of ``shadow_others``.
    """

    target_train: float | None = None
    target_test: float | None = None
    shadow_members: float
    shadow_others: float
    others_influence: list[float] | None = None


class Training(Result):
    """What training took, seconds, how often it was begun anew, and how many parameters a model has."""

    parameters: int | None = None
    seconds: float
    target_seconds: float | None
    workers: int
    retrained_after_divergence: int


class SignalsDesign(Result):
    """How models that were trained elsewhere belong together."""

    models: int
    pairs: list[tuple[int, int]]
    nearly: list[tuple[int, int]]
    folds: tuple[list[int], ...] = ()
    single: list[int]
    left_out: list[int]
    sentence: str


class GivenSignals(Result):
    """A file of signals that was audited."""

    file: str
    sha256: str
    queries: int
    classes: int | None
    paired: bool
    design: SignalsDesign | None = None
    population: int
    seed: int
    attack: str
    fewest_in: int


class GivenTarget(GivenTargetDescription):
    """A target that the user brought; ``doubts``: why it may not be what it is taken for."""

    doubts: tuple[str, ...] = ()


class About(Result):
    """What was audited: models that were trained here, or signals that were given."""

    audit: str
    identity: AuditIdentity | None = None
    signals: list[str] | None = None
    queries: list[str] | None = None
    data: DataDescription | None = None
    versions: dict[str, str] | None = None
    target: GivenTarget | None = None
    given: GivenSignals | None = None
    notes: tuple[str, ...] = ()


class PurgeEntry(Result):
    """One purge of the audit, without whom it was of: counts, and a digest that only the store's salt explains."""

    digest: str
    date: str
    samples: int
    models: int | None = None
    requests: int = 0
    skipped: int = 0


class Inferred(Result):
    """What was inferred besides membership, each in a file of its own; None where it was not tried.

    Parameters
    ----------
    attributes
        Sensitive columns of a table: ``attributes.json``.
    classes
        What classes look like: ``classes.json``.
    """

    attributes: AttributeResults | None = None
    classes: ClassResults | None = None


class ScoreResults(Result):
    """An audit's results.

    Parameters
    ----------
    attacks
        By name; ``lira`` is online LiRA on the margin with shrunk variance.
    calibrated
        By nominal FPR: the margin held against each sample's own threshold. Empty below 6 shadow models; None where
        there are no complementary pairs.
    union
        Of all attacks; None in earlier results.
    agreement
        Of each attack's ranking with LiRA's.
    groups
        By property: ``class``, and those of ``--metadata``.
    subjects
        Of people with several records; None where nobody is known to have several.
    mean_risk
        Mean attack success rate, 0 … 1.
    warnings
        What the command warned of.
    table_sha256
        Of the score table that these results belong to.
    inferred
        What else was inferred: of files beside this one, and not written here.
    """

    audit: str
    samples: int
    shadows: int
    statistic: str
    rmia_gamma: float | None = None
    queries: tuple[str, ...] = ("original",)
    attacks: dict[str, Attack]
    calibrated: dict[str, CalibratedRate] | None = None
    union: AttackUnion | None = None
    agreement: dict[str, Correlation]
    groups: dict[str, Exposure]
    clusters: Clusters | None = None
    stability: Stability | None
    most_exposed: MostExposed | None
    told_right: ToldRight | None = None
    subjects: SubjectRisk | None = None
    risk_vs_difficulty: RiskAndDifficulty
    target: TargetAttack | None
    controls: Controls
    duplicates: Duplicates | None = None
    epsilon: Epsilon | None
    promise: Promise | None = None
    mean_risk: float
    accuracy: Accuracy | None
    training: Training | None
    about: About
    outliers: Outliers | None = None
    warnings: list[str] | None = None
    inversion: InversionResults | None = None
    trained: int
    table_sha256: str | None = None
    purges: tuple[PurgeEntry, ...] = ()
    inferred: Inferred = Field(default=Inferred(), exclude=True)


class ScoreAnswer(ScoreResults):
    """What ``score --json`` prints: the results, and the paths of the score table (``scores``) and of the report.

    ``attributes`` and ``classes`` are what was inferred besides membership; None where it was not tried.
    """

    attributes: AttributeResults | None = None
    classes: ClassResults | None = None
    scores_file: str = Field(alias="scores")
    report: ReportPaths
    realistic_inversion: RealisticInversion | None = None

    @classmethod
    def of(
        cls,
        results: ScoreResults,
        scores: Path,
        report: ReportPaths,
        realistic: RealisticInversion | None = None,
    ) -> ScoreAnswer:
        """Join the results, the paths, and what ``--invert-settings realistic`` found."""
        return cls(
            **dict(results),
            **dict(results.inferred),
            scores=str(scores),
            report=report,
            realistic_inversion=realistic,
        )


class ScoreEstimate(Result):
    """What ``score --dry-run --json`` prints: what an audit would do and cost."""

    audit: str
    samples: int
    shadows: int
    to_train: int
    to_invert: int
    seconds: float
    seconds_on_an_idle_machine: float
    training_seconds: float
    inversion_seconds: float
    scoring_seconds: float
    share_of_cores: float
    memory_bytes: int
    gpu_memory_bytes: int
    disk_bytes: int
    smallest_fpr: float
