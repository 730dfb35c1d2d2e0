"""``purges.json``: what was purged when, and which files are missing on purpose."""

from __future__ import annotations

from pydantic import Field

from privaudit.results.base import SparseResult

#: What an audit calls a sample.
SampleIdentifier = int | str


class RequestNumber(SparseResult):
    """Which request of a list named a sample, as far as the list says."""

    request_id: str | None = None
    date: str | None = None


class SkippedSample(SparseResult):
    """A sample that was asked for and is not in the audit."""

    sample_id: SampleIdentifier
    requests: list[RequestNumber] = Field(default_factory=list)


class Purged(SparseResult):
    """What every record of a purge says.

    Parameters
    ----------
    digest
        Names it without naming anybody.
    date
        On which it began.
    samples, models, requests
        How many samples went, how many models with them, and how many requests asked for it.
    """

    digest: str
    date: str
    samples: int
    models: int
    requests: int = 0


class PurgeSummary(Purged):
    """A purge in ``score.json``, for the report; ``skipped`` counts requested ids that are not in the audit."""

    skipped: int = 0


class PurgeRecord(Purged):
    """A purge in ``purges.json``; ``files`` are missing on purpose since, by their paths from the store on."""

    skipped: list[SkippedSample] = Field(default_factory=list)
    files: list[str] = Field(default_factory=list)
