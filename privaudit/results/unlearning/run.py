"""What an unlearning run found out: its ``metrics.json``, read here and written by `unlearn`.

Models go by name: ``original`` (do nothing), ``unlearned``, ``retrained`` and ``second_retrained`` (trained without
D_u). Parts are ``forget`` (D_u), ``retain`` (D_r) and ``test``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue

from privaudit.results.base import Result
from privaudit.results.measures import Attack, Correlation, Interval
from privaudit.results.report_paths import ReportPaths
from privaudit.results.unlearning.calibration import Calibration
from privaudit.results.unlearning.ledger import Ledger, SequencingRecord
from privaudit.results.unlearning.outcome import REJECTED, OutcomeEvidence, OutcomeName
from privaudit.results.unlearning.predecessor import Predecessor

#: Which sample; a report gives what stands for its id there.
ShownSample = Annotated[int | str, BeforeValidator(lambda one: one if isinstance(one, int | str) else str(one))]
Numbers = dict[str, int | float]


class Accuracies(Result):
    """Share of right answers of one model, 0 … 1."""

    forget: float
    retain: float
    test: float


class Chosen(Result):
    """Who chose the method (``user`` or ``auto``), why, and how many seconds retraining would take.

    ``calibration`` is what auto chose by, where it did not choose by time alone.
    """

    by: str
    method: str
    why: str
    exact_seconds: float
    calibration: Calibration | None = None


class Membership(Result):
    """MIA-efficacy of every model, the attack's accuracy, and the paper's two gaps of the unlearned model."""

    efficacy: dict[str, float]
    attack_accuracy: dict[str, float]
    gap_to_original: float
    gap_to_retrained: float | None


class RelearnRatio(Result):
    """A relearn time over the retrained model's; ``bound`` says where ``value`` is one (``at most``, ``at least``)."""

    value: float | None
    bound: str | None


class Relearn(Result):
    """Steps until every model knows D_u again (None: not within the limit), and their ratios."""

    target_loss: float
    limit: int
    learning_rate: float
    steps: dict[str, int | None]
    ratio: RelearnRatio | None = None
    ratio_of_second_retrained: RelearnRatio | None = None


class Divergence(Result):
    """Mean Jensen-Shannon distance of every model's predictions to the retrained model's."""

    forget: dict[str, float]
    test: dict[str, float]


class Reaudit(Result):
    """LiRA on one model: its forget samples (None where nothing can say) and its retained ones."""

    forget: Attack | None
    retain: Attack | None


class CalledMembers(Result):
    """Share of the forgotten (None where that can't be told) and of the retained whose LiRA ratio is above 0."""

    forget: float | None = None
    retain: float | None = None


class RetainedChange(Result):
    """Mean change of a retained sample's LiRA ratio from the original model on, and the share that rose."""

    mean: float
    ci: Interval | None
    rose: float


class ExposedSample(Result):
    """A retained sample that became more exposed: LiRA's ratio by model."""

    sample_id: ShownSample
    class_name: str
    original: float
    unlearned: float
    retrained: float | None = None


class ExposureChange(Result):
    """Who still looks trained on, and which retained samples look more so than before."""

    called_members: dict[str, CalledMembers]
    retained_change: dict[str, RetainedChange]
    most_exposed: tuple[ExposedSample, ...] = ()


class Forgotten(Result):
    """What counts as forgotten, which share is, and which share counted so before anything was done."""

    means: str
    share: float
    before: float


class RiskVsDifficulty(Result):
    """Correlation of risk with each sense of difficulty."""

    forgettability: Correlation
    fidelity: Correlation
    shift: Correlation

    @property
    def by_sense(self) -> dict[str, Correlation]:
        """The same by name."""
        return {"forgettability": self.forgettability, "fidelity": self.fidelity, "shift": self.shift}


class ULira(Result):
    """The method attacked with shadow models that unlearned too, and whom they call trained-on."""

    models: int
    attack: Attack
    called_members: dict[str, float]


class TuningTrial(Result):
    """Parameters that were tried on the held-out forget set, and what came of it."""

    parameters: Numbers
    accuracy: Accuracies
    tow: float
    seconds: float
    stopped: str | None = None


class Tuning(Result):
    """How the method's parameters were chosen; test accuracies are of the validation half."""

    criterion: str
    held_out: int
    reference: Accuracies
    tow_do_nothing: float
    trials: tuple[TuningTrial, ...]
    chosen: Numbers
    seconds: float


class Seconds(Result):
    """What unlearning took, one retraining, and the original training."""

    unlearning: float
    retraining: float | None
    training: float | None = None


class UnlearningFigures(Result):
    """Everything that is measured of an unlearned model (`privaudit.evaluation.evaluate`).

    Parameters
    ----------
    outcome, outcome_evidence
        None of a run of an earlier version.
    tow, tow_do_nothing, noise_floor
        ToW of the unlearned, the original and the second retrained model against the retrained one.
    reference
        What fidelity and shift are measured against, in words.
    reaudit, exposure, jensen_shannon_from_shadow_models
        By the shadow models that took no part in the unlearning.
    """

    outcome: OutcomeName | None = None
    outcome_evidence: OutcomeEvidence | None = None
    accuracy: dict[str, Accuracies | None]
    second_retrained: Accuracies | None = None
    tow: float | None
    tow_do_nothing: float | None
    noise_floor: float | None = None
    mia: Membership | None = None
    relearn: Relearn | None = None
    jensen_shannon: Divergence | None = None
    jensen_shannon_from_shadow_models: dict[str, float] | None = None
    loss_as_proxy: Correlation | None = None
    reference: str | None
    reaudit: dict[str, Reaudit]
    exposure: ExposureChange | None = None
    forgotten: Forgotten | None = None
    risk_vs_difficulty: RiskVsDifficulty


class UnlearnRun(Result):
    """What every ``metrics.json`` says, however old: which run it is, and what became of it.

    ``parameters`` is None of the method ``retrain`` alone; the first versions left it out. ``predecessor`` is None of a
    run that began as the audit's target.
    """

    audit: str | None = None
    run: str | None = None
    number: int = 0
    method: str | None = None
    order: str | None = None
    forget: int | None = None
    parameters: Numbers | None = Field(default_factory=dict)
    sequencing: SequencingRecord | None = None
    outcome: OutcomeName | None = None
    outcome_evidence: OutcomeEvidence | None = None
    predecessor: Predecessor | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the run retrained: its model never saw the forgotten, whatever any measure of it says."""
        return self.parameters is None

    @property
    def outcome_or_exact(self) -> OutcomeName | None:
        """The outcome; None where an earlier version decided none, unless it retrained."""
        return "exact" if self.outcome is None and self.is_exact else self.outcome

    @property
    def is_rejected(self) -> bool:
        """Whether the run's model is no result of unlearning."""
        return self.outcome in REJECTED


class UnlearnRequested(Result):
    """What was asked of a run, and of which audit; ``sequencing`` is None of methods that know no order.

    Parameters
    ----------
    groups
        As many as there were; None where all was handed over at once.
    forget_specification, forget, requests, skipped
        ``--forget`` (of a file only that it was one), samples of D_u, lines of the file, and those of unknown samples.
    scattered
        Whether shadow models that never saw a sample say how a model without it behaves.
    shadows, statistic
        Of the scores that it started from.
    """

    audit: str | None = None
    method: str
    chosen: Chosen | None = None
    order: str
    descending: bool
    parameters: Numbers | None = Field(default_factory=dict)
    groups: int | None
    sequencing: SequencingRecord | None
    forget: int
    forget_specification: str
    requests: int = 0
    skipped: int = 0
    notes: tuple[str, ...] = ()
    scattered: bool | None = None
    seed: int = 0
    reference_asked: str = "auto"
    predecessor: Predecessor | None = None
    shadows: int
    statistic: str


class UnlearnResults(UnlearnRequested, UnlearnRun, UnlearningFigures, Ledger):
    """An unlearning run's results.

    ``outcome_of_request`` is of a run that went on from another: what became of those alone whom this request asked
    for, held against the model that it went on from.
    """

    run: str
    outcome_of_request: OutcomeEvidence | None = None
    judging_shadows: int | None = None
    tuning: Tuning | None = None
    details: dict[str, JsonValue] = Field(default_factory=dict)
    u_lira: ULira | None = None
    seconds: Seconds


class UnlearnAnswer(UnlearnResults):
    """What ``unlearn --json`` prints: the results, and where they and the report are."""

    outcome: OutcomeName
    outcome_evidence: OutcomeEvidence
    chosen: Chosen
    report: ReportPaths
    folder: str
    warnings: list[str]
