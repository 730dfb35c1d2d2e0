"""`privaudit purge`: take forgotten samples out of what an audit itself still holds of them.

Nothing but the stored files is read: the samples may be gone from the data already. Half of all shadow models saw any
one sample, so for more than a few samples all of them go. What is left is consistent, can be verified and shown, and
can't be trained with any more.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.artifacts import (
    PURGE_SALT,
    REMOVAL_RECORD,
    REPRODUCTION,
    RESULTS,
    RUN_RESULTS,
    SCORES,
    VERDICTS,
)
from privaudit.audit.result_files import table_bytes
from privaudit.config.audit_options import PlaceOptions
from privaudit.errors import StoreError
from privaudit.purging.purge_evidence import digests
from privaudit.purging.purge_plan import PurgePlan, plan_purge
from privaudit.report.reproduction.write_reproduction import render_reproduction
from privaudit.report.write import render_report
from privaudit.results.purge_record import (
    PurgeRecord,
    PurgeSummary,
    RequestNumber,
    SampleIdentifier,
    SkippedSample,
)
from privaudit.results.report_paths import ReportPaths
from privaudit.runtime import files, links, seals
from privaudit.runtime.identity import digest_of
from privaudit.runtime.progress import talk
from privaudit.shadow.store import REMEDY, AuditStore, open_audit

Rows = npt.NDArray[np.int64]


def run_purge(
    places: PlaceOptions, audit: str | None, forget: str, seed: int, *, skip_unknown: bool = False
) -> PurgePlan:
    """Do what `plan_purge` says; return the plan as it was done, with its report."""
    store = open_audit(Path(places.store), audit)
    with store.locked():
        out = Path(places.out) / store.audit
        files.claim(out)
        _finish_earlier(store, out)
        plan = plan_purge(places, store.audit, forget, seed, skip_unknown=skip_unknown)
        for path in [*plan.removed, *plan.anew]:
            # Before anything goes: nothing is to be deleted through a link.
            links.demand_no_link(path.parent)
        _demand_whole(plan, store)
        # First of all it is put on record that files are missing on purpose: a purge that is cut short is not damage,
        # and the same command finishes it.
        entry = _record(plan, store)
        _remove([*plan.removed, *plan.anew], [store.folder, out.parent])
        for path, axis in plan.cut:
            _cut_array(path, plan.chosen.rows, axis, len(plan.table))
        for path in plan.named:
            if path != RESULTS.at(out):
                _forget_names(path, plan.ids)
        # The score table says which rows to cut elsewhere: it comes last.
        for path in sorted(plan.tables, key=lambda path: path == SCORES.at(out)):
            _drop_rows(path, plan, entry)
        plan.report = _render_anew(store, out)
        return plan


def _finish_earlier(store: AuditStore, out: Path) -> None:
    """Bring a purge to its end that was cut short: what it had written is not taken for unfinished."""
    if not PURGE_SALT.at(store.folder).exists():
        return
    scores, purges = SCORES.at(out), store.read_purges()
    results = files.read_json(RESULTS.at(out)) if files.is_whole(RESULTS.at(out)) else {}
    is_told = bool(purges) and purges[-1].digest in {purge["digest"] for purge in results.get("purges", [])}
    if is_told and scores.is_file() and results["table_sha256"] == files.sha256_of(scores):
        # After its last table its samples are not known any more: what is left to do needs none of them.
        files.seal(scores)
        _render_anew(store, out)
        talk(f"  the purge of {purges[-1].samples:,} samples on {purges[-1].date} was cut short and is finished now")
        return
    # A run's record is whole before its results are, and nothing but a purge touches these afterwards.
    ended = [path.parent.name for path in REMOVAL_RECORD.within(out) if files.is_whole(path)]
    for path in [scores, *(artifact.at(out, run=run) for run in ended for artifact in RUN_RESULTS)]:
        if files.inspect_seal(path) is files.Seal.UNFINISHED:
            files.seal(path)


def _render_anew(store: AuditStore, out: Path) -> ReportPaths:
    """Render what showed the samples, and end the purge: until then, the same command finishes it."""
    studies = out.parent / REPRODUCTION
    if not studies.is_symlink() and any(studies.glob(f"{out.name}-*/{VERDICTS.path}")):
        render_reproduction(studies)
    report = render_report(out)
    # Without it nobody can tell from the digest who was purged.
    files.remove(PURGE_SALT.at(store.folder))
    return report


def _demand_whole(plan: PurgePlan, store: AuditStore) -> None:
    """Raise `StoreError` where something that stays is damaged: to cut it and seal what is left would hide that."""
    stay = {seals.sealed_by(path) for path in links.list_files(store.folder)}
    stay -= {*plan.removed, *(path for path, _ in plan.unknown)}
    for path in [*sorted(stay), *plan.tables, *plan.named]:
        if path.exists() and files.inspect_seal(path).is_wrong:
            raise StoreError(f"{path} is damaged: nothing was purged", hint=REMEDY)


def _record(plan: PurgePlan, store: AuditStore) -> PurgeRecord:
    """Put on record, in the store, who is purged, under a name that says nobody's, and which files go."""
    earlier, name = digests(store.folder, plan.ids, begin=True)
    begun = [one.models for one in store.read_purges() if one.digest in (name, earlier)]
    skipped: dict[SampleIdentifier, list[RequestNumber]] = {}
    for one in plan.chosen.skipped:
        skipped.setdefault(one.sample_id, []).append(RequestNumber(request_id=one.request_id, date=one.date))
    entry = PurgeRecord(
        digest=name,
        date=datetime.now(UTC).date().isoformat(),
        samples=len(plan.chosen.rows),
        # One that goes on where it was cut short finds fewer than it began with.
        models=max([plan.models_removed, *begun]),
        requests=len(plan.chosen.requests),
        skipped=[SkippedSample(sample_id=sample, requests=found) for sample, found in skipped.items()],
        files=[str(path.relative_to(store.folder)) for path in plan.removed if path.is_relative_to(store.folder)],
    )
    store.record_purge(entry, replaced=earlier)
    return entry


def _remove(paths: list[Path], roots: list[Path]) -> None:
    """Delete files, and the folders below one of the roots that are empty without them, the deepest first."""
    for path in paths:
        files.remove(path)
    above = {part for path in paths for part in path.parents if any(root in part.parents for root in roots)}
    for folder in sorted(above, key=lambda part: len(part.parts), reverse=True):
        with suppress(OSError):  # Something is left in it.
            folder.rmdir()


def _cut_array(path: Path, rows: Rows, axis: int, samples: int) -> None:
    """Cut the rows, unless a purge that was interrupted has cut them already."""
    array = files.read_array(path)
    if array.shape[axis] == samples:
        files.write_array(path, np.delete(array, rows, axis=axis))
    if not files.is_whole(path):
        files.seal(path)


def _forget_names(path: Path, ids: set[SampleIdentifier]) -> None:
    """Take the samples out of the lists in which a run's results name some."""
    if files.is_whole(path):
        files.write_json(path, without_samples(files.read_json(path), ids))
        files.seal(path)


def without_samples(content: Any, ids: set[SampleIdentifier]) -> Any:
    """The same JSON value without those entries of lists that are about one of the samples."""
    if isinstance(content, list):
        about = [isinstance(entry, dict) and entry.get("sample_id") in ids for entry in content]
        return [without_samples(entry, ids) for entry, gone in zip(content, about, strict=True) if not gone]
    if isinstance(content, dict):
        return {key: without_samples(value, ids) for key, value in content.items()}
    return content


def _drop_rows(path: Path, plan: PurgePlan, entry: PurgeRecord) -> None:
    """Drop the samples' rows of a table; of the score table, whose results say first what it will be."""
    scores = path.name == SCORES.path
    table = plan.table if scores else pd.read_parquet(path)
    content = table_bytes(table[~table["sample_id"].isin(list(plan.ids))].reset_index(drop=True))
    if scores:
        _announce(path.with_name(RESULTS.path), content, plan, entry)
    files.write_bytes(path, content)
    files.seal(path)


def _announce(path: Path, scores: bytes, plan: PurgePlan, entry: PurgeRecord) -> None:
    """Let the results belong to the table as it will be, and say that something was purged."""
    told = PurgeSummary(**entry.model_dump(exclude={"skipped", "files"}), skipped=len(entry.skipped))
    results = without_samples(files.read_json(path), plan.ids)
    earlier = [purge for purge in results.get("purges", []) if purge["digest"] != entry.digest]
    results |= {"table_sha256": digest_of(scores), "purges": [*earlier, told.to_json()]}
    files.write_json(path, results)
    files.seal(path)
