"""`privaudit purge`: take forgotten samples out of what an audit itself still holds of them.

Nothing but the stored files is read: the samples may be gone from the data already. Half of all shadow models saw any
one sample, so for more than a few samples all of them go. What is left is consistent, can be verified and shown, and
can't be trained with any more.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.audit.result_files import REPRODUCTION, RESULTS, SCORES, read_table, table_bytes, write_table
from privaudit.commands.unlearning.unlearn_run import EXPOSURE, FORGETTING, METRICS
from privaudit.config import AuditSettings
from privaudit.errors import StoreError
from privaudit.purging.purge_digest import digest, digest_of_earlier_version, make_salt, salt_path
from privaudit.purging.purge_inventory import empty_folders_above, files_below
from privaudit.purging.purge_plan import PurgePlan, ids_of, plan_purge, read_scores
from privaudit.report.reproduction.write_reproduction import render_reproduction
from privaudit.report.write import render_report
from privaudit.results.reproduction_results import VERDICTS
from privaudit.runtime import files, links
from privaudit.runtime.progress import talk
from privaudit.shadow.store import REMEDY, AuditStore, open_audit
from privaudit.unlearning.application.removal_record import RECORD, by_sample
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.requests.request_cells import SampleIdentifier

Rows = npt.NDArray[np.int64]


def run_purge(
    settings: AuditSettings, audit: str | None, forget: str, seed: int, *, skip_unknown: bool = False
) -> dict[str, Any]:
    """Do what `plan_purge` says; return what ``purge --json`` prints."""
    store = open_audit(settings.store, audit)
    with store.locked():
        out = settings.out / store.audit
        files.claim(out)
        _finish_last(store, out)
        _seal_what_was_cut(store, out)
        plan, chosen = plan_purge(settings, store.audit, forget, seed, skip_unknown=skip_unknown)
        scores = read_scores(out)
        ids = ids_of(scores, chosen.rows)
        for path in [*plan.files.removed(), *plan.files.anew]:
            # Before anything goes: nothing is to be deleted through a link.
            links.demand_no_link(path.parent)
        _demand_whole(plan, store)
        entry, replaced = _entry(plan, chosen, ids, store)
        # First of all it is put on record that files are missing on purpose: a purge that is cut short is not damage,
        # and the same command finishes it.
        in_store = [path for path in plan.files.removed() if path.is_relative_to(store.folder)]
        skipped = [
            {"sample_id": name, "requests": [one.to_json() for one in found]}
            for name, found in by_sample(chosen.skipped).items()
        ]
        store.record_purge(entry | {"skipped": skipped}, in_store, replaced)
        _remove([*plan.files.removed(), *plan.files.anew], [store.folder, out.parent])
        for path, axis in plan.files.cut:
            _cut_array(path, chosen.rows, axis, len(scores))
        for path in plan.files.named:
            if path.name != RESULTS:
                _forget_names(path, ids)
        # The score table says which rows to cut elsewhere: it comes last.
        for path in sorted(plan.files.tables, key=lambda path: path.name == SCORES):
            table = read_table(path) if path.name != SCORES else scores
            left = table[~table["sample_id"].isin(list(ids))].reset_index(drop=True)
            if path.name == SCORES:
                _announce(out, left, ids, entry | {"skipped": len(skipped)})
            write_table(left, path)
        return plan.to_json() | {"report": _render_anew(out, salt_path(store))}


def _render_anew(out: Path, salt: Path) -> dict[str, str | None]:
    """Render what showed the samples, and end the purge: until then, the same command finishes it."""
    studies = out.parent / REPRODUCTION
    if not studies.is_symlink() and any(studies.glob(f"{out.name}-*/{VERDICTS}")):
        render_reproduction(studies)
    report = render_report(out)
    # Without it nobody can tell from the digest who was purged.
    files.remove(salt)
    return report


def _finish_last(store: AuditStore, out: Path) -> None:
    """Bring a purge to its end that was cut short after its last table: its samples are not known any more."""
    if not salt_path(store).exists() or not files.is_whole(out / RESULTS) or not (out / SCORES).is_file():
        return
    results, purges = files.read_json(out / RESULTS), store.read_purges()
    done = {purge["digest"] for purge in results.get("purges", [])}
    if not purges or purges[-1]["digest"] not in done or results["table_sha256"] != files.sha256_of(out / SCORES):
        return
    files.seal(out / SCORES)
    _render_anew(out, salt_path(store))
    talk(f"  the purge of {purges[-1]['samples']:,} samples on {purges[-1]['date']} was cut short and is finished now")


def _seal_what_was_cut(store: AuditStore, out: Path) -> None:
    """Seal what a purge that was cut short had written, or was about to: runs that ended are not taken for unfinished.

    A run's record is whole before its results are, and nothing but a purge touches these afterwards.
    """
    if not salt_path(store).exists():
        return
    ended = [path.parent for path in out.glob(f"unlearn/*/{RECORD}") if files.is_whole(path)]
    for path in [out / SCORES, *(folder / name for folder in ended for name in (METRICS, FORGETTING, EXPOSURE))]:
        if files.inspect_seal(path) is files.Seal.UNFINISHED:
            files.seal(path)


def _demand_whole(plan: PurgePlan, store: AuditStore) -> None:
    """Raise `StoreError` where something that stays is damaged: to cut it and seal what is left would hide that."""
    others = {*plan.files.removed(), *(path for path, _ in plan.files.unknown)}
    stay = [path for path in files_below(store.folder)[0] if path not in others]
    for path in [*stay, *plan.files.tables, *plan.files.named]:
        if path.exists() and files.inspect_seal(path).is_wrong:
            raise StoreError(f"{path} is damaged: nothing was purged", hint=REMEDY)


def _entry(
    plan: PurgePlan, chosen: ForgetSet, ids: set[SampleIdentifier], store: AuditStore
) -> tuple[dict[str, Any], str]:
    """What is put on record of this purge, and the digest under which an earlier version began it."""
    name, earlier = digest(ids, make_salt(store)), digest_of_earlier_version(ids)
    begun = [one for one in store.read_purges() if one["digest"] in (name, earlier)]
    entry = {
        "digest": name,
        "date": datetime.now(UTC).date().isoformat(),
        "samples": plan.samples,
        # One that goes on where it was cut short finds fewer than it began with.
        "models": max([plan.models_removed(), *(one["models"] for one in begun)]),
        "requests": len(chosen.requests),
    }
    return entry, earlier


def _remove(paths: list[Path], roots: list[Path]) -> None:
    for path in paths:
        files.remove(path)
    for folder in empty_folders_above(paths, roots):
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
        return [without_samples(entry, ids) for entry in content if not _is_about(entry, ids)]
    if isinstance(content, dict):
        return {key: without_samples(value, ids) for key, value in content.items()}
    return content


def _is_about(entry: Any, ids: set[SampleIdentifier]) -> bool:
    return isinstance(entry, dict) and entry.get("sample_id") in ids


def _announce(out: Path, left: pd.DataFrame, ids: set[SampleIdentifier], entry: dict[str, Any]) -> None:
    """Let the results belong to the table as it will be, and say that something was purged."""
    results = without_samples(files.read_json(out / RESULTS), ids)
    results["table_sha256"] = hashlib.sha256(table_bytes(left)).hexdigest()
    earlier = [purge for purge in results.get("purges", []) if purge["digest"] != entry["digest"]]
    results["purges"] = [*earlier, entry]
    files.write_json(out / RESULTS, results)
    files.seal(out / RESULTS)
