"""What `verify`, `list` and `purge` print of a stored audit."""

from __future__ import annotations

from pydantic import Field

from privaudit.results.base import Result, SparseResult
from privaudit.results.purge_record import SampleIdentifier
from privaudit.results.report_paths import ReportPaths
from privaudit.results.unlearning.predecessor import Predecessor


class VerifyResults(Result):
    """Of `privaudit verify`: how many files there are or should be, and which of them are wrong.

    ``unbound`` files were sealed by an earlier version, without their place; ``broken_chains`` are records that name
    another record than the one that is there.
    """

    audit: str
    files: int
    damaged: list[str]
    missing: list[str]
    misplaced: list[str]
    unbound: int
    broken_chains: list[str] = Field(default_factory=list)


class RunEntry(Result):
    """An unlearning run in `privaudit list`; ``model`` is where its model lies, None where that is not whole.

    ``went_on_from`` is the run that it went on from, None of one that began as the target, and ``link`` the state of
    that: ``whole``, ``purged`` or ``broken``.
    """

    run: str
    method: str | None
    order: str | None
    forget: int | None
    outcome: str | None
    model: str | None
    went_on_from: str | None = None
    link: str | None = None


class AuditEntry(Result):
    """An audit in `privaudit list`; its facts are None where it can't be read, and ``error`` says why.

    ``calibrations`` are those of ``--method auto``, by name: what each chose.
    """

    audit: str
    latest: bool
    dataset: str | None = None
    network: str | None = None
    samples: int | None = None
    shadows: int | None = None
    error: str | None = None
    runs: list[RunEntry]
    calibrations: dict[str, str] = Field(default_factory=dict)


class FileAndReason(Result):
    """A file, and why it goes, stays or is left alone."""

    file: str
    why: str


class OtherAudit(SparseResult):
    """Another audit that holds the samples or may: what is known of that, and the command that purges it."""

    audit: str
    same_data: bool | None = None
    holds: str
    command: str


class PurgeResults(SparseResult):
    """Of `privaudit purge`: what goes, or went.

    Parameters
    ----------
    removed
        By kind, files that go.
    cut
        Arrays, tables and results that lose the samples.
    unlearned_removed
        Those of the files that go which are models of unlearning runs.
    unknown
        What is not of privaudit's making, and is left alone.
    report
        The report as it is now; unset where nothing was changed.
    """

    audit: str
    samples: int
    models_removed: int
    files_removed: int
    arrays_cut: int
    tables_cut: int
    removed: dict[str, list[str]]
    cut: list[str]
    made_anew: list[str]
    unlearned_removed: list[FileAndReason]
    models_kept: list[FileAndReason]
    results_kept: list[FileAndReason]
    unknown: list[FileAndReason]
    other_audits: list[OtherAudit]
    skipped: list[SampleIdentifier]
    notes: list[str]
    report: ReportPaths | None = None


class _Sample(Result):
    """Whom a record names."""

    sample_id: SampleIdentifier


class _Method(Result):
    """How it was unlearned; ``exact`` where the model never saw the samples."""

    method: str
    exact: bool | None = None


class _Model(Result):
    """Which file of weights a record is about."""

    sha256: str | None = None


class RemovalSummary(Result):
    """What `verify` and `purge` read of a run's record of removal."""

    audit: str | None = None
    run: str | None = None
    outcome: str | None = None
    removed: list[_Sample]
    method: _Method
    model: _Model = _Model()
    predecessor: Predecessor | None = None
