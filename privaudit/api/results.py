"""What the functions return: the keys of ``--json``. Where a value is itself a table of figures, docs say more."""

from __future__ import annotations

from typing import Any, TypedDict


class ReportPaths(TypedDict):
    """Where the report is; the PDF is None where it could not be made."""

    html: str
    pdf: str | None


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
