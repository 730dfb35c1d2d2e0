"""The record of a removal, or of an attempt: ``record.json`` beside an unlearned model."""

from __future__ import annotations

from privaudit.results.base import Result
from privaudit.results.unlearning.ledger import GuardRecord, SequencingRecord
from privaudit.results.unlearning.outcome import OutcomeEvidence, OutcomeName
from privaudit.results.unlearning.predecessor import Predecessor
from privaudit.results.unlearning.run import (
    Accuracies,
    Chosen,
    Divergence,
    ExposureChange,
    Membership,
    Numbers,
    Reaudit,
    Relearn,
    ShownSample,
    ULira,
)


class NamedRequest(Result):
    """A request to be forgotten, as it was given; None where the list gave none."""

    request_id: str | None = None
    date: str | None = None


class SkippedSample(Result):
    """A sample that was asked for and is not in the audit."""

    sample_id: ShownSample
    requests: tuple[NamedRequest, ...] = ()


class RemovedSample(SkippedSample):
    """A sample that was removed, or was to be; ``earlier``: the run that this one went on from had removed it."""

    class_name: str
    earlier: bool = False


class MethodRecord(Result):
    """By which method; ``exact``: the model never saw them, and the evidence measures the attack, not the removal."""

    method: str
    parameters: Numbers | None = None
    order: str | None = None
    descending: bool = False
    sequencing: SequencingRecord | None = None
    seed: int = 0
    exact: bool = False
    forget_steps_run: int | None = None
    stopped: str | None = None
    guard: GuardRecord | None = None
    seconds: float | None = None


class ModelRecord(Result):
    """The model's file and its SHA-256."""

    file: str
    sha256: str


class Evidence(Result):
    """The measures that the record rests on, as in the run's results."""

    accuracy: dict[str, Accuracies | None] | None = None
    tow: float | None = None
    tow_do_nothing: float | None = None
    noise_floor: float | None = None
    mia: Membership | None = None
    relearn: Relearn | None = None
    jensen_shannon: Divergence | None = None
    reaudit: dict[str, Reaudit] | None = None
    exposure: ExposureChange | None = None
    u_lira: ULira | None = None


class RemovalRecord(Result):
    """Who was removed (``removed``), or was to be and was not (``attempted``), how, and on which evidence.

    ``requests`` counts all that were given; ``chosen`` says who chose the method, and why. Of a run that went on from
    another ``predecessor`` names that one's record, ``removed`` holds everybody whom both removed, and
    ``outcome_of_request`` is of those alone whom this request asked for.
    """

    format: int = 1
    made: str | None = None
    privaudit: str | None = None
    audit: str | None = None
    run: str | None = None
    outcome: OutcomeName | None = None
    outcome_evidence: OutcomeEvidence | None = None
    predecessor: Predecessor | None = None
    outcome_of_request: OutcomeEvidence | None = None
    removed: tuple[RemovedSample, ...] = ()
    attempted: tuple[RemovedSample, ...] = ()
    requests: int = 0
    skipped: tuple[SkippedSample, ...] = ()
    chosen: Chosen | None = None
    method: MethodRecord
    model: ModelRecord | None = None
    evidence: Evidence | None = None
    limits: tuple[str, ...] = ()
