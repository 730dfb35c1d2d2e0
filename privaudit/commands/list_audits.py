"""`privaudit list`: the audits of a store. No torch."""

from __future__ import annotations

from pathlib import Path

from privaudit.artifacts import CALIBRATION, METRICS, REMOVAL_RECORD
from privaudit.audit.result_files import model_file
from privaudit.commands.removal_chain import link_of
from privaudit.errors import StoreError
from privaudit.results.base import read_result
from privaudit.results.stored_audits import AuditEntry, RunEntry
from privaudit.results.unlearning.calibration import Calibration
from privaudit.results.unlearning.run import UnlearnRun
from privaudit.runtime import files
from privaudit.shadow.store import AuditStore, audits_in, latest_audit


def list_audits(root: Path, out: Path) -> list[AuditEntry]:
    """What each audit of a store is, by name, with its unlearning runs; one that is damaged is there with an error."""
    latest = latest_audit(root)
    return [_described(AuditStore(root, name), latest, out / name) for name in audits_in(root)]


def _runs(folder: Path, *, purged: bool) -> list[RunEntry]:
    """Unlearning runs in the order in which they were made, and what became of each; those that are whole."""
    found = []
    for path in filter(files.is_whole, METRICS.within(folder)):
        run = read_result(path, UnlearnRun)
        model, record = path.with_name(model_file(run)), REMOVAL_RECORD.at(folder, run=path.parent.name)
        link = link_of(folder, path.parent.name, purged=purged) if files.is_whole(record) else None
        entry = RunEntry(
            run=path.parent.name,
            method=run.method,
            order=run.order,
            forget=run.forget,
            outcome=run.outcome_or_exact,
            model=str(model) if files.is_whole(model) else None,
            went_on_from=None if link is None else link[0],
            link=None if link is None else link[1],
        )
        found.append((run.number, entry))
    return [entry for _, entry in sorted(found, key=lambda one: (one[0], one[1].run))]


def _described(store: AuditStore, latest: str | None, out: Path) -> AuditEntry:
    """What an audit is, or why that can't be told: one damaged audit must not hide the others."""
    entry = AuditEntry(audit=store.audit, latest=store.audit == latest, runs=[])
    try:
        entry = entry.model_copy(update={"runs": _runs(out, purged=store.was_purged())})
        about, shadows = store.read_description(), store.shadow_count()
        calibrations = {
            path.stem: read_result(path, Calibration).method
            for path in filter(files.is_whole, CALIBRATION.within(store.folder))
        }
        entry = entry.model_copy(update={"calibrations": calibrations})
    except StoreError as error:
        return entry.model_copy(update={"error": error.message})
    facts = {"dataset": about.identity.dataset, "network": about.identity.network, "samples": about.data.train}
    return entry.model_copy(update=facts | {"shadows": shadows})
