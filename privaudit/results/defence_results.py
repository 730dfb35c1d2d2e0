"""What lowers the risk, and what it costs: ``defence.json``, which ``defend --json`` prints."""

from __future__ import annotations

from typing import Literal

from privaudit.results.audit.score_results import ToldRight
from privaudit.results.base import Result
from privaudit.results.measures import Attack, Difference, Interval
from privaudit.results.report_paths import ReportPaths

#: Whether a measure is shown to halve the members found at 1% false alarms, and why not.
Halves = Literal["yes", "not shown", "no", "too few models"]

Verdict = Literal["recommended", "nothing helped", "nothing to halve", "too little evidence"]

#: The warning of an audit that finds something where there is nothing: it is no ground for a recommendation.
CONTROL_FAILED = "a negative control failed: do not trust this audit"


class Halving(Result):
    """A measure's TPR at 1% FPR held against half of what it was.

    Parameters
    ----------
    goal
        Half of the TPR without the measure.
    difference
        The measure's TPR less the goal, with a 95% interval of its own.
    p, p_corrected
        One-sided, of "it is not below the goal", and by Holm's correction over every measure that was tried; None
        where there are too few models.
    """

    goal: float
    difference: Difference
    p: float | None
    p_corrected: float | None = None
    halves: Halves


class Variant(Result):
    """One way to train: the audited one (``baseline``) or a variation of it.

    Parameters
    ----------
    name, title, changes
        What it is called, in words, and the options that it changes.
    audit
        Its audit, an ordinary one of the same store.
    samples, shadows
        Whom it is audited on, and by how many shadow models.
    auc, auc_ci, tpr_at_fpr, tpr_ci
        LiRA's, fitted to models that were trained in the same way.
    accuracy
        The target model's on test samples, as ``target_test`` of ``score.json``.
    shadow_accuracy, shadow_accuracy_ci
        The shadow models' on the same samples: steadier, and of the models whose risk is measured.
    mean_risk, told_right, most_exposed, most_exposed_ci
        Mean attack success rate of all and of the most exposed; the share that is told right in most models.
    auc_change, tpr_change, accuracy_change
        From the baseline to it (accuracy: the shadow models'); None of the baseline itself. ``paired``: model by model.
    halving
        Against half of the baseline's TPR at 1% FPR; None of the baseline, and where a rate is not resolved.
    on_front
        Whether no other way to train is as accurate and less risky, or as safe and more accurate.
    """

    name: str
    title: str
    changes: dict[str, str | int | float | bool]
    audit: str
    samples: int
    shadows: int
    auc: float
    auc_ci: Interval | None
    tpr_at_fpr: dict[str, float | None]
    tpr_ci: dict[str, Interval | None]
    accuracy: float | None
    shadow_accuracy: float
    shadow_accuracy_ci: Interval | None
    mean_risk: float
    told_right: ToldRight | None
    most_exposed: float | None
    most_exposed_ci: Interval | None
    paired: bool | None = None
    auc_change: Difference | None = None
    tpr_change: Difference | None = None
    accuracy_change: Difference | None = None
    halving: Halving | None = None
    on_front: bool = False
    warnings: tuple[str, ...] = ()


class OutputMeasure(Result):
    """A way to show less of what the audited models say; nothing is trained, and the labels stay.

    Parameters
    ----------
    unadapted
        LiRA of an attacker who does not know of it: what is hidden by obscurity alone. None of ``logits``, where there
        is nothing to know, and of a label alone.
    adaptive, attack
        The best of the attacks that are fitted to what is shown, and which one it is.
    attacks
        TPR at 1% FPR of each of them; AUC where that is not resolved.
    change
        Of the adaptive attack's TPR at 1% FPR, from everything shown to this.
    helps
        Whether that change's interval lies below 0.
    """

    name: str
    title: str
    unadapted: Attack | None
    adaptive: Attack
    attack: str
    attacks: dict[str, float]
    change: Difference | None = None
    helps: bool = False
    halving: Halving | None = None


class BoundaryMeasure(Result):
    """What labels alone tell who walks to the decision boundary, and others on the same samples beside it.

    Parameters
    ----------
    samples, queries
        How many samples were walked from, and the most questions about each to each model.
    seconds
        What it took.
    attacks
        By name: the distance less its mean under models that never saw the sample, LiRA fitted to the distance, to how
        often the label of altered copies holds, and to the margin, which takes all that a model says.
    """

    samples: int
    queries: int
    seconds: float
    attacks: dict[str, Attack]


class OutputMeasures(Result):
    """Measures at the output of the audited models: everything shown first, then less and less.

    ``samples`` were attacked, and ``copies`` altered copies of each were asked about for the attack on labels.
    ``boundary`` is None where nobody asked for it.
    """

    samples: int
    copies: int
    measures: list[OutputMeasure]
    boundary: BoundaryMeasure | None = None


class DefenceResults(Result):
    """Variations of an audit and measures at its output, held against it.

    Parameters
    ----------
    audit
        The audited configuration's.
    fpr
        At which members found decide.
    variants
        The audited configuration first.
    outputs
        None where the store no longer holds the models, or a rate is not resolved.
    skipped
        What was not tried, a sentence each.
    tests
        Over how many measures p-values are corrected.
    max_accuracy_loss
        The most accuracy that a recommended one may cost; None for any.
    verdict, recommended, sentence
        The cheapest in accuracy that is shown to halve the members found; its name, or None; and in words.
    """

    audit: str
    fpr: float
    variants: list[Variant]
    outputs: OutputMeasures | None
    skipped: list[str]
    tests: int
    max_accuracy_loss: float | None
    verdict: Verdict
    recommended: str | None
    sentence: str


class DefenceAnswer(DefenceResults):
    """What ``defend --json`` prints: the results, models trained by this call, where table, report and folder are."""

    trained: int
    table: str
    folder: str
    report: ReportPaths


class PlannedVariant(Result):
    """One way to train that would be audited, and what is left to do for it."""

    name: str
    changes: dict[str, str | int | float | bool]
    audit: str | None
    to_train: int
    seconds: float


class DefenceEstimate(Result):
    """What ``defend --dry-run`` prints; ``questions``: the most that a walk along the boundary asks."""

    audit: str
    variants: list[PlannedVariant]
    skipped: list[str]
    to_train: int
    seconds: float
    seconds_on_an_idle_machine: float
    disk_bytes: int
    questions: int = 0
