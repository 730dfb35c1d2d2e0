"""What a purge would remove, cut and leave: every file by name, before anything is touched."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.audit.result_files import RESULTS, SCORES
from privaudit.config import DEFAULT_OUT, DEFAULT_STORE, AuditSettings
from privaudit.errors import PrivauditError, StoreError, UsageError
from privaudit.purging.purge_digest import digest, digest_of_earlier_version, read_salt
from privaudit.purging.purge_inventory import Inventory, demand_no_links, sort_comparisons, sort_output, sort_store
from privaudit.runtime import files
from privaudit.shadow.store import AuditStore, audits_in, open_audit, shadow_key
from privaudit.unlearning.application.removal_record import RECORD
from privaudit.unlearning.application.retrained_models import MEMBERS, WEIGHTS, members_digest
from privaudit.unlearning.requests.forget_set import ForgetSet, choose_forget_set
from privaudit.unlearning.requests.request_cells import SampleIdentifier, plain

Rows = npt.NDArray[np.int64]


@dataclass
class PurgePlan:
    """What a purge would do.

    Parameters
    ----------
    audit, samples
        Of which audit, and how many samples.
    files
        Every file by what happens to it.
    others
        Other audits of the store that hold the samples too, or may, each with the command that purges it.
    said
        What was understood of a list of requests.
    skipped
        Ids of the list that the audit does not know.
    notes
        What else to say.
    """

    audit: str
    samples: int
    files: Inventory = field(default_factory=Inventory)
    others: list[dict[str, Any]] = field(default_factory=list)
    said: str = ""
    skipped: list[SampleIdentifier] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def models_removed(self) -> int:
        """How many of the deleted files are models."""
        return sum(path.suffix == ".safetensors" for path in self.files.removed())

    def to_json(self) -> dict[str, Any]:
        """As ``purge --dry-run --json`` prints it."""
        found = self.files
        return {
            "audit": self.audit,
            "samples": self.samples,
            "models_removed": self.models_removed(),
            "files_removed": len(found.removed()),
            "arrays_cut": len(found.cut),
            "tables_cut": len(found.tables),
            "removed": {kind: [str(path) for path in paths] for kind, paths in found.remove.items()},
            "cut": [str(path) for path in [*(path for path, _ in found.cut), *found.tables, *found.named]],
            "made_anew": [str(path) for path in found.anew],
            "unlearned_removed": [_entry(one) for one in found.gone],
            "models_kept": [_entry(one) for one in found.keep if one[0].suffix == ".safetensors"],
            "results_kept": [_entry(one) for one in found.keep if one[0].suffix != ".safetensors"],
            "unknown": [_entry(one) for one in found.unknown],
            "other_audits": self.others,
            "skipped": self.skipped,
            "notes": self.notes,
        }


def _entry(found: tuple[Path, str]) -> dict[str, str]:
    return {"file": str(found[0]), "why": found[1]}


def plan_purge(
    settings: AuditSettings, audit: str | None, forget: str, seed: int, *, skip_unknown: bool = False
) -> tuple[PurgePlan, ForgetSet]:
    """Look at what the audit holds of the samples; nothing is changed.

    Parameters
    ----------
    settings
        Where store and results are.
    audit
        Its name [the latest].
    forget, seed
        Whose traces, as for unlearning.
    skip_unknown
        Pass over ids of a list that the audit does not know.

    Raises
    ------
    UsageError
        Where nothing of them is held any more, or they are unknown.
    StoreError
        Where another purge was cut short, or something that would be cut is a link.
    """
    store = open_audit(settings.store, audit)
    out = settings.out / store.audit
    demand_no_links(store, out)
    table = read_scores(out)
    description = store.read_description()
    real = table[~table["canary"]].reset_index(drop=True)
    data = description["data"]
    id_column = (data.get("table") or {}).get("id")
    chosen = choose_forget_set(
        forget, real, tuple(data["classes"]), seed, skip_unknown=skip_unknown, id_column=id_column
    )
    ids = ids_of(real, chosen.rows)
    plan = PurgePlan(store.audit, len(chosen.rows), said=chosen.said)
    plan.skipped = list(dict.fromkeys(one.sample_id for one in chosen.skipped))
    saw = _who_saw(store, out, chosen.rows, len(table), ids)
    left_out = _left_out(out, real, chosen.rows)
    sort_store(plan.files, store, saw, _never_saw(store, len(real), left_out))
    sort_output(plan.files, out, _exact_models(store, out, real, chosen.rows))
    sort_comparisons(plan.files, out)
    plan.others = _other_audits(settings, store, forget, seed, ids)
    plan.notes = [
        f"{sum(saw.values())} of {len(saw)} shadow models saw at least one of the {plan.samples:,} samples (half of "
        "them saw any one), and so did the target.",
        "An unlearned model goes unless its outcome is exact: it began as the target, and nothing proves what is left "
        "in it. Only a model that was trained without these samples stays.",
        "Left in place: the data itself, which is not the audit's; figures over all samples, which were computed with "
        "them; records of removal, which say what was removed at whose request; copies elsewhere, which are beyond "
        "this tool.",
        "To be rebuilt: take the samples out of the data, then run privaudit score on it: that is a new audit. This "
        "one can be verified and shown, and trains nothing any more.",
        *(["Once they are not needed, delete the list of requests and what else names them."] if chosen.said else []),
    ]
    return plan, chosen


def ids_of(table: pd.DataFrame, rows: Rows) -> set[SampleIdentifier]:
    """Ids of some rows of a score table."""
    return {plain(one) for one in table["sample_id"].to_numpy()[rows]}


def read_scores(out: Path) -> pd.DataFrame:
    """The score table: whole, or as a purge left it that was cut short before its seal."""
    path = out / SCORES
    if not files.is_whole(path):
        announced = files.read_json(out / RESULTS).get("table_sha256") if files.is_whole(out / RESULTS) else None
        if files.inspect_seal(path) is not files.Seal.UNFINISHED or announced != files.sha256_of(path):
            raise UsageError(
                f"{path} is not there or not whole: it says where each sample stands",
                hint="Name the folder of the results with --out, or score again.",
            )
    return pd.read_parquet(path)


def _who_saw(store: AuditStore, out: Path, rows: Rows, samples: int, ids: set[SampleIdentifier]) -> dict[str, bool]:
    """Which shadow models saw one of the samples."""
    _demand_no_other_under_way(store, out, ids)
    unsealed = files.inspect_seal(store.design) is files.Seal.UNFINISHED
    keep = files.read_array(store.design) if unsealed else store.read_design()
    if keep.shape[1] == samples:
        return {shadow_key(index): bool(row[rows].any()) for index, row in enumerate(keep)}
    # A purge that was cut short has cut the design: who saw these samples was gone by then.
    begun = store.read_purges()[-1]
    if begun["digest"] not in _digests(store, ids):
        raise _cut_short(begun)
    return {shadow_key(index): not store.model(shadow_key(index)).exists() for index in range(len(keep))}


def _digests(store: AuditStore, ids: set[SampleIdentifier]) -> set[str]:
    """What a purge of these samples may be called that is under way."""
    salt = read_salt(store)
    return {digest_of_earlier_version(ids)} | (set() if salt is None else {digest(ids, salt)})


def _demand_no_other_under_way(store: AuditStore, out: Path, ids: set[SampleIdentifier]) -> None:
    purges = store.read_purges()
    if read_salt(store) is None or not purges or purges[-1]["digest"] in _digests(store, ids):
        return
    results = files.read_json(out / RESULTS) if files.is_whole(out / RESULTS) else {}
    if purges[-1]["digest"] not in {purge["digest"] for purge in results.get("purges", [])}:
        raise _cut_short(purges[-1])


def _cut_short(begun: dict[str, Any]) -> StoreError:
    return StoreError(
        f"the purge of {begun['samples']:,} samples on {begun['date']} was cut short",
        hint="Run that privaudit purge again first: it goes on where it stopped.",
    )


def _left_out(out: Path, real: pd.DataFrame, rows: Rows) -> list[Rows]:
    """The samples to purge, and the forget sets of runs that hold them all: training without those is without them."""
    return [rows, *(found for _, found in _retrained_runs(out, real, rows))]


def _retrained_runs(out: Path, real: pd.DataFrame, rows: Rows) -> list[tuple[Path, Rows]]:
    """Runs whose forget set holds all the samples, and the rows of that, by their whole records."""
    place = {plain(one): row for row, one in enumerate(real["sample_id"])}
    found = []
    for path in sorted(out.glob(f"unlearn/*/{RECORD}")):
        if path.parent.is_symlink() or not files.is_whole(path):
            continue
        of_run = [place.get(entry["sample_id"]) for entry in files.read_json(path)["removed"]]
        forgotten = np.sort(np.array([row for row in of_run if row is not None], np.int64))
        # One whose samples are not all known was made before an earlier purge: its rows are counted otherwise.
        if len(forgotten) == len(of_run) and np.isin(rows, forgotten).all():
            found.append((path.parent, forgotten))
    return found


def _retrained_records(store: AuditStore) -> dict[Path, dict[str, Any]]:
    """By model file of the store's retrained models: the records of those that are whole."""
    records = {}
    for path in sorted((store.folder / "retrained").glob("*.safetensors")):
        record = path.with_suffix(".json")
        if not path.parent.is_symlink() and files.is_whole(path) and files.is_whole(record):
            records[path] = files.read_json(record)
    return records


def _never_saw(store: AuditStore, samples: int, left_out: list[Rows]) -> set[Path]:
    """Files of retrained models whose records prove that they are these weights, trained without the samples."""
    without = {members_digest(np.setdiff1d(np.arange(samples), rows)) for rows in left_out}
    return {
        part
        for path, record in _retrained_records(store).items()
        if record.get(MEMBERS) in without and record.get(WEIGHTS) == files.sha256_of(path)
        for part in (path, path.with_suffix(".json"))
    }


def _exact_models(store: AuditStore, out: Path, real: pd.DataFrame, rows: Rows) -> set[Path]:
    """Models of runs that are, bit for bit, a retrained model which never saw the samples."""
    models = _never_saw(store, len(real), _left_out(out, real, rows))
    weights = {files.sha256_of(path) for path in models if path.suffix == ".safetensors"}
    return {
        folder / "model.safetensors"
        for folder, _ in _retrained_runs(out, real, rows)
        if files.is_whole(folder / "model.safetensors") and files.sha256_of(folder / "model.safetensors") in weights
    }


def _other_audits(
    settings: AuditSettings, store: AuditStore, forget: str, seed: int, ids: set[SampleIdentifier]
) -> list[dict[str, Any]]:
    """Audits of the same data, or of that data set in another size, not known to be without the samples."""
    own = store.read_description()["identity"]
    flags = [] if settings.store == DEFAULT_STORE else ["--store", str(settings.store)]
    flags += [] if settings.out == DEFAULT_OUT else ["--out", str(settings.out)]
    flags += [] if seed == 0 else ["--seed", str(seed)]
    found = []
    for name in audits_in(store.root):
        if name == store.audit:
            continue
        command = shlex.join(["privaudit", "purge", "--audit", name, "--forget", forget, *flags])
        try:
            other = AuditStore(store.root, name).read_description()["identity"]
        except PrivauditError:
            found.append({"audit": name, "holds": "can't be told: its audit.json can't be read", "command": command})
            continue
        same = other["fingerprint"] == own["fingerprint"]
        if not same and other["dataset"] != own["dataset"]:
            continue
        held = _held(settings.out / name, ids)
        if held != 0:
            known = "can't be told: its results are not there" if held is None else f"{held:,} of these samples"
            found.append({"audit": name, "same_data": same, "holds": known, "command": command})
    return found


def _held(out: Path, ids: set[SampleIdentifier]) -> int | None:
    """How many of the samples another audit's score table holds; None where it can't be read."""
    if not files.is_whole(out / SCORES):
        return None
    return int(pd.read_parquet(out / SCORES, columns=["sample_id"])["sample_id"].isin(list(ids)).sum())
