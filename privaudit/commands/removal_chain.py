"""The chain of records: each names the record of the run that its own went on from, by SHA-256. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from privaudit.artifacts import REMOVAL_RECORD, RUN_MODELS
from privaudit.results.base import Result, read_result
from privaudit.results.unlearning.predecessor import Predecessor
from privaudit.runtime import files

#: ``whole``: the record is there as it was, and so is the model; ``purged``: a purge took one of them; ``broken``: the
#: record is another, or gone.
LinkState = Literal["whole", "purged", "broken"]


class Linked(Result):
    """What of a record makes the chain; whatever else it holds or lacks is no matter here."""

    predecessor: Predecessor | None = None


def link_of(out: Path, run: str, *, purged: bool) -> tuple[str, LinkState] | None:
    """Return the run that this one went on from, and the state of the link; None of a run that began as the target.

    Parameters
    ----------
    out
        The audit's folder of results.
    run
        Whose record is whole.
    purged
        Whether the audit was purged.
    """
    link = read_result(REMOVAL_RECORD.at(out, run=run), Linked).predecessor
    if link is None:
        return None
    record = REMOVAL_RECORD.at(out, run=link.run)
    if not files.is_whole(record):
        # A purge takes a damaged record along, and never one that is whole.
        return link.run, "purged" if purged and not record.exists() else "broken"
    if files.sha256_of(record) != link.record_sha256:
        return link.run, "broken"
    models = [artifact.at(out, run=link.run) for artifact in RUN_MODELS[:2]]
    return link.run, "whole" if any(path.exists() for path in models) or not purged else "purged"


def broken_links(out: Path, *, purged: bool) -> dict[Path, str]:
    """Return the records whose link is broken, and the run that each names."""
    found = {}
    for record in filter(files.is_whole, REMOVAL_RECORD.within(out)):
        link = link_of(out, record.parent.name, purged=purged)
        if link is not None and link[1] == "broken":
            found[record] = link[0]
    return found
