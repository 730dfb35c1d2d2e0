"""The record of a removal, or of an attempt: what was removed, for whom, by which method, on which evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from privaudit import __version__
from privaudit.results.purge_record import SampleIdentifier
from privaudit.results.unlearning.removal_record import (
    Evidence,
    MethodRecord,
    ModelRecord,
    NamedRequest,
    RemovalRecord,
    RemovedSample,
    SkippedSample,
)
from privaudit.results.unlearning.run import UnlearnResults
from privaudit.runtime import files
from privaudit.unlearning.requests.forget_requests import RemovalRequest
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.requests.request_cells import plain

RECORD = "record.json"
FORMAT = 1

LIMITS = (
    "Unlearning other than retraining is approximate. The evidence is against the measures that were taken: that they "
    "found nothing does not prove that nothing is left.",
    "The re-audit uses shadow models that unlearned nothing: it understates what is left. U-LiRA (--u-lira) is "
    "stronger.",
    "The original model, the shadow models, their signals and the score table still hold these samples: "
    "privaudit purge removes them. Copies elsewhere (backups, deployed models) are beyond this tool.",
    "This is a measurement, no determination of legal compliance.",
)


def record_of(
    results: UnlearnResults, forget: ForgetSet, table: pd.DataFrame, model: Path, warnings: Sequence[str] = ()
) -> RemovalRecord:
    """Make the record of a run.

    Parameters
    ----------
    results
        The run's.
    forget, table
        What was to be removed, and a table with a row a training sample that names it.
    model
        The unlearned model's file, rejected or not.
    warnings
        What else the record's reader must know of this model.
    """
    asked, skipped = by_sample(forget.requests), by_sample(forget.skipped)
    rows = table.iloc[forget.rows]
    named = tuple(
        RemovedSample(
            sample_id=plain(sample),
            class_name=str(name),
            requests=asked.get(plain(sample), ()),
            earlier=row in forget.earlier,
        )
        for row, sample, name in zip(forget.rows.tolist(), rows["sample_id"], rows["class_name"], strict=True)
    )
    method = MethodRecord.model_validate({**results, "exact": results.is_exact, "seconds": results.seconds.unlearning})
    return RemovalRecord(
        format=FORMAT,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        privaudit=__version__,
        audit=results.audit,
        run=results.run,
        outcome=results.outcome,
        outcome_evidence=results.outcome_evidence,
        predecessor=results.predecessor,
        outcome_of_request=results.outcome_of_request,
        # Of a model that is rejected nothing was removed: it was attempted. The earlier model is as it was.
        removed=() if results.is_rejected else named,
        attempted=named if results.is_rejected else (),
        requests=len(forget.requests),
        skipped=tuple(SkippedSample(sample_id=sample, requests=found) for sample, found in skipped.items()),
        chosen=results.chosen,
        method=method,
        model=ModelRecord(file=model.name, sha256=files.sha256_of(model)),
        evidence=Evidence.model_validate({**results}),
        limits=(*LIMITS, *(f"{one[0].upper()}{one[1:]}." for one in warnings)),
    )


def by_sample(requests: Iterable[RemovalRequest]) -> dict[SampleIdentifier, tuple[NamedRequest, ...]]:
    """Return numbers and dates of the requests by the sample that they name."""
    found: dict[SampleIdentifier, tuple[NamedRequest, ...]] = {}
    for request in requests:
        named = NamedRequest(request_id=request.request_id, date=request.date)
        found[request.sample_id] = (*found.get(request.sample_id, ()), named)
    return found
