"""`privaudit purge`: take forgotten samples out of what an audit itself still holds of them.

Nothing but the stored files is read: the samples may be gone from the data already. Half of all shadow models saw any
one sample, so for more than a few samples all of them go. What is left is consistent, can be verified and shown, and
can't be trained with any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit import files, links
from privaudit.config import AuditSettings
from privaudit.errors import StoreError, UsageError
from privaudit.report.samples import THUMBNAILS
from privaudit.shadow.store import COIN, REMEDY, TARGET, AuditStore, open_audit, shadow_key
from privaudit.unlearning.forget_set import ForgetSet, choose_forget_set
from privaudit.workflow.inversion_images import PICTURES as INVERSION_PICTURES
from privaudit.workflow.inversion_images import RECONSTRUCTIONS
from privaudit.workflow.render import render_report
from privaudit.workflow.tables import COMPARISONS, RESULTS, SCORES, read_table, table_bytes, write_table

Rows = npt.NDArray[np.int64]

#: Below the output folder, what shows single samples or reconstructions of them.
PICTURES = (RECONSTRUCTIONS, INVERSION_PICTURES, THUMBNAILS)


@dataclass
class PurgePlan:
    """What a purge would do.

    Parameters
    ----------
    remove
        Files to delete: models that saw one of the samples, what was made of them, reconstructions.
    cut
        Arrays to cut rows (axis 0) or columns (axis 1) from.
    tables
        Per-sample tables to drop rows of.
    keep_models
        Models that stay, and why.
    notes
        What else to say.
    """

    audit: str
    samples: int
    remove: list[Path] = field(default_factory=list)
    cut: list[tuple[Path, int]] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    keep_models: list[tuple[Path, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def models_removed(self) -> int:
        """How many of the deleted files are models."""
        return sum(path.suffix == ".safetensors" for path in self.remove)

    def to_json(self) -> dict[str, Any]:
        """As ``purge --dry-run --json`` prints it."""
        return {
            "audit": self.audit,
            "samples": self.samples,
            "models_removed": self.models_removed(),
            "files_removed": len(self.remove),
            "arrays_cut": len(self.cut),
            "tables_cut": len(self.tables),
            "models_kept": [{"file": str(path), "why": why} for path, why in self.keep_models],
            "notes": self.notes,
        }


def plan_purge(settings: AuditSettings, audit: str | None, forget: str, seed: int) -> tuple[PurgePlan, ForgetSet]:
    """Look at what the audit holds of the samples; nothing is changed.

    Raises
    ------
    UsageError
        Where nothing of them is held any more, or they are unknown.
    """
    store = open_audit(settings.store, audit)
    out = settings.out / store.audit
    table = _scores(out)
    description = store.read_description()
    real = table[~table["canary"]].reset_index(drop=True)
    chosen = choose_forget_set(forget, real, tuple(description["data"]["classes"]), seed)
    plan = PurgePlan(store.audit, len(chosen.rows))
    ids = set(real["sample_id"].to_numpy()[chosen.rows].tolist())
    _plan_store(plan, store, chosen.rows, _who_saw(store, chosen.rows, len(table), _digest(ids)))
    _plan_results(plan, out, ids)
    plan.notes += [
        "Left in place: the data itself, which is not the audit's; figures over all samples, which were computed with "
        "them; records of removal, which say what was removed at whose request; copies elsewhere, which are beyond "
        "this tool.",
        "To be rebuilt: take the samples out of the data, then run privaudit score on it: that is a new audit. This "
        "one can be verified and shown, and trains nothing any more.",
    ]
    return plan, chosen


def run_purge(settings: AuditSettings, audit: str | None, forget: str, seed: int) -> dict[str, Any]:
    """Do what `plan_purge` says; return what ``purge --json`` prints."""
    store = open_audit(settings.store, audit)
    with store.locked():
        plan, chosen = plan_purge(settings, audit, forget, seed)
        out = settings.out / store.audit
        files.claim(out)
        scores = _scores(out)
        ids = set(scores.loc[chosen.rows, "sample_id"].tolist())
        digest = _digest(ids)
        begun = [one for one in store.read_purges() if one["digest"] == digest]
        entry = {
            "digest": digest,
            "date": datetime.now(UTC).date().isoformat(),
            "samples": plan.samples,
            # One that goes on where it was cut short finds fewer than it began with.
            "models": max([plan.models_removed(), *(one["models"] for one in begun)]),
            "requests": len(chosen.requests),
        }
        for path in plan.remove:
            # Before anything goes: nothing is to be deleted through a link.
            links.demand_no_link(path.parent)
        for path, _ in plan.cut:
            if files.inspect_seal(path).is_wrong:
                # To cut it and seal what is left would pass the damage off as whole.
                raise StoreError(f"{path} is damaged: nothing was purged", hint=REMEDY)
        # First of all it is put on record that files are missing on purpose: a purge that is cut short is not damage,
        # and the same command finishes it.
        store.record_purge(entry, [path for path in plan.remove if path.is_relative_to(store.folder)])
        for path in plan.remove:
            files.remove(path)
        for path, axis in plan.cut:
            _cut_array(path, chosen.rows, axis, len(scores))
        for path in sorted(out.glob("unlearn/*/metrics.json")):
            _forget_names(path, ids)
        # The score table says which rows to cut elsewhere: it comes last.
        for path in plan.tables:
            table = read_table(path)
            left = table[~table["sample_id"].isin(ids)].reset_index(drop=True)
            if path.name == SCORES:
                _announce(out, left, ids, entry)
            write_table(left, path)
            files.remove(path.with_suffix(".csv"))
        return plan.to_json() | {"report": render_report(out)}


def _scores(out: Path) -> pd.DataFrame:
    if not files.is_whole(out / SCORES):
        raise UsageError(
            f"{out / SCORES} is not there or not whole: it says where each sample stands",
            hint="Name the folder of the results with --out, or score again.",
        )
    return read_table(out / SCORES)


def _digest(ids: set[int]) -> str:
    return hashlib.sha256(np.array(sorted(ids), np.int64).tobytes()).hexdigest()[:16]


def _who_saw(store: AuditStore, rows: Rows, samples: int, digest: str) -> dict[str, bool]:
    """Which shadow models saw one of the samples."""
    unsealed = files.inspect_seal(store.design) is files.Seal.UNFINISHED
    keep = files.read_array(store.design) if unsealed else store.read_design()
    if keep.shape[1] == samples:
        return {shadow_key(index): bool(row[rows].any()) for index, row in enumerate(keep)}
    # A purge that was cut short has cut the design: who saw these samples was gone by then.
    begun = store.read_purges()[-1]
    if begun["digest"] != digest:
        raise StoreError(
            f"the purge of {begun['samples']:,} samples on {begun['date']} was cut short",
            hint="Run that privaudit purge again first: it goes on where it stopped.",
        )
    return {shadow_key(index): not store.model(shadow_key(index)).exists() for index in range(len(keep))}


def _plan_store(plan: PurgePlan, store: AuditStore, rows: Rows, saw: dict[str, bool]) -> None:
    """Models that saw one of the samples go; of every signal the samples' rows go."""
    keys = [TARGET, COIN, *saw]
    for key in keys:
        path = store.model(key)
        if saw.get(key, True):
            plan.remove += [part for part in (path, store.record(key)) if part.exists()]
        elif path.exists():
            plan.keep_models.append((path, "never saw any of them"))
        if store.signals(key).exists():
            plan.cut.append((store.signals(key), 0))
        # What an untrained model says of them is said of them all the same.
        if (untrained := store.control("untrained", key)).exists():
            plan.remove.append(untrained)
    plan.cut.append((store.design, 1))
    gone = sum(saw.values())
    plan.notes.insert(
        0,
        f"{gone} of {len(saw)} shadow models saw at least one of the {len(rows):,} samples (half of them saw any one), "
        "and so did the target.",
    )
    own = f"{hashlib.sha256(rows.tobytes()).hexdigest()[:16]}-"
    for path in sorted((store.folder / "retrained").glob("*.safetensors")):
        if path.name.startswith(own):
            plan.keep_models.append((path, "retrained without exactly these samples"))
        else:
            plan.remove += [part for part in (path, path.with_suffix(".json")) if part.exists()]
    # Attacks that invert gradients leave results by batches of samples.
    plan.remove += _without_seals((store.folder / "inversion").rglob("*"))


def _plan_results(plan: PurgePlan, out: Path, ids: set[int]) -> None:
    plan.remove += [out / name for name in PICTURES if (out / name).exists()]
    # Comparisons with another audit hold the risk of every sample under both.
    for comparison in sorted((out.parent / COMPARISONS).glob("*")):
        if out.name in comparison.name.split("--"):
            plan.remove += _without_seals(comparison.glob("*"))
    for folder in sorted(path for path in out.glob("unlearn/*") if path.is_dir()):
        for name in ("forgetting.parquet", "exposure.parquet"):
            if files.is_whole(folder / name):
                plan.tables.append(folder / name)
        model = folder / "model.safetensors"
        if model.exists():
            if ids <= _forgotten_by(folder):
                plan.keep_models.append((model, "unlearned these samples"))
            else:
                plan.remove.append(model)
        # Stages of runs that were interrupted hold models too.
        plan.remove += _without_seals((folder / "stages").glob("*"))
        plan.remove += _without_seals((folder / "u-lira").glob("*"))
    plan.tables.append(out / SCORES)


def _forgotten_by(run: Path) -> set[int]:
    """What a run forgot, from its record; nothing where it can't be read."""
    if not files.is_whole(run / "record.json"):
        return set()
    return {int(entry["sample_id"]) for entry in files.read_json(run / "record.json")["removed"]}


def _without_seals(paths: Iterator[Path]) -> list[Path]:
    return sorted(path for path in paths if path.is_file() and not path.name.endswith(files.SEAL_SUFFIX))


def _cut_array(path: Path, rows: Rows, axis: int, samples: int) -> None:
    """Cut the rows, unless a purge that was interrupted has cut them already."""
    array = files.read_array(path)
    if array.shape[axis] == samples:
        files.write_array(path, np.delete(array, rows, axis=axis))
    if not files.is_whole(path):
        files.seal(path)


def _forget_names(path: Path, ids: set[int]) -> None:
    """Take the samples out of the lists in which a run's results name some."""
    if files.is_whole(path):
        files.write_json(path, without_samples(files.read_json(path), ids))
        files.seal(path)


def without_samples(content: Any, ids: set[int]) -> Any:
    """The same JSON value without those entries of lists that are about one of the samples."""
    if isinstance(content, list):
        return [without_samples(entry, ids) for entry in content if not _is_about(entry, ids)]
    if isinstance(content, dict):
        return {key: without_samples(value, ids) for key, value in content.items()}
    return content


def _is_about(entry: Any, ids: set[int]) -> bool:
    return isinstance(entry, dict) and entry.get("sample_id") in ids


def _announce(out: Path, left: pd.DataFrame, ids: set[int], entry: dict[str, Any]) -> None:
    """Let the results belong to the table as it will be, and say that something was purged."""
    results = without_samples(files.read_json(out / RESULTS), ids)
    results["table_sha256"] = hashlib.sha256(table_bytes(left)).hexdigest()
    earlier = [purge for purge in results.get("purges", []) if purge["digest"] != entry["digest"]]
    results["purges"] = [*earlier, entry]
    files.write_json(out / RESULTS, results)
    files.seal(out / RESULTS)
