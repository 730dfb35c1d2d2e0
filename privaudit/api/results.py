"""What the functions return: the keys of ``--json``. Where a value is itself a table of figures, docs say more."""

from __future__ import annotations

from typing import Any, TypedDict


class ReportPaths(TypedDict):
    """Where the report is; the PDF is None where it could not be made."""

    html: str
    pdf: str | None


class Attack(TypedDict):
    """How well an attack tells members; intervals are 95% and None where there are too few models."""

    auc: float
    auc_ci: list[float] | None
    balanced_accuracy: float | None
    tpr_at_fpr: dict[str, float | None]
    tpr_ci: dict[str, list[float] | None]
    true_positives: dict[str, int | None]
    smallest_fpr: float
    positives: int
    negatives: int


class TargetAttack(Attack):
    """How well the target's members are told from test samples, and what is to be said of that figure."""

    warnings: list[str]


class Controls(TypedDict):
    """Audits whose answer is known; None where a control could not be run.

    ``blind`` and ``shift`` are of the data: training against test samples, where no model saw either.
    """

    negative: dict[str, Any] | None
    untrained: dict[str, Any] | None
    positive: dict[str, Any] | None
    blind: dict[str, Any] | None
    shift: dict[str, Any] | None


class ScoreResults(TypedDict):
    """Of `score`."""

    audit: str
    samples: int
    shadows: int
    trained: int
    scores: str
    report: ReportPaths
    statistic: str
    rmia_gamma: float | None
    mean_risk: float
    attacks: dict[str, Attack]
    target: TargetAttack | None
    controls: Controls
    duplicates: dict[str, Any] | None
    warnings: list[str]
    accuracy: dict[str, float] | None
    agreement: dict[str, Any]
    groups: dict[str, Any]
    clusters: Any
    stability: dict[str, Any] | None
    most_exposed: dict[str, Any] | None
    told_right: dict[str, Any]
    risk_vs_difficulty: dict[str, Any]
    epsilon: dict[str, Any] | None
    inversion: dict[str, Any] | None
    training: dict[str, Any] | None
    outliers: dict[str, Any]
    about: dict[str, Any]
    table_sha256: str


class DryRunResults(TypedDict):
    """Of `score` with ``dry_run``: what it would do and cost."""

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


class Accuracies(TypedDict):
    """Of one model, 0 … 1."""

    forget: float
    retain: float
    test: float


class Chosen(TypedDict):
    """By whom a method was chosen (``user`` or ``auto``), why, and how long retraining would take."""

    by: str
    method: str
    why: str
    exact_seconds: float


class UnlearnResults(TypedDict):
    """Of `unlearn`."""

    audit: str
    run: str
    outcome: str
    outcome_evidence: dict[str, Any]
    guard: dict[str, Any] | None
    method: str
    chosen: Chosen
    order: str
    forget: int
    forget_steps: int
    forget_steps_run: int
    stopped: str | None
    folder: str
    report: ReportPaths
    accuracy: dict[str, Accuracies | None]
    tow: float | None
    tow_do_nothing: float | None
    seconds: dict[str, float | None]
    risk_vs_difficulty: dict[str, Any]
    warnings: list[str]


class GateCheck(TypedDict):
    """One limit, what the audit says of it, and why."""

    quantity: str
    rate: float | None
    most: float
    value: float | None
    ci: list[float] | None
    verdict: str
    reason: str
    sentence: str


class GateResults(TypedDict):
    """Of `gate`."""

    audit: str
    checks: list[GateCheck]
    unlearned: dict[str, Any] | None


class VerifyResults(TypedDict):
    """Of `verify`."""

    audit: str
    files: int
    damaged: list[str]
    missing: list[str]
    misplaced: list[str]
    unbound: int


class PurgeResults(TypedDict, total=False):
    """Of `purge`; without ``report`` where nothing was changed."""

    audit: str
    samples: int
    models_removed: int
    files_removed: int
    arrays_cut: int
    tables_cut: int
    removed: dict[str, list[str]]
    cut: list[str]
    made_anew: list[str]
    unlearned_removed: list[dict[str, str]]
    models_kept: list[dict[str, str]]
    results_kept: list[dict[str, str]]
    unknown: list[dict[str, str]]
    other_audits: list[dict[str, Any]]
    skipped: list[int | str]
    notes: list[str]
    report: ReportPaths


class AuditEntry(TypedDict):
    """One audit of a store; its facts are None where it can't be read, and ``error`` says why."""

    audit: str
    latest: bool
    dataset: str | None
    network: str | None
    samples: int | None
    shadows: int | None
    error: str | None
    runs: list[dict[str, Any]]
