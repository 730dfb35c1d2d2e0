"""Who is purged, under a name that says nobody's, and what is known of who saw them.

A plain hash of ids can be undone by hashing every id there might be. So a purge is named by a digest under a salt that
lies in the store while it is under way, so that one which was cut short knows itself again, and is deleted when it is
done: then nobody can.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit.artifacts import (
    PURGE_SALT,
    REMOVAL_RECORD,
    RESULTS,
    RETRAINED,
    RUN_MODELS,
    RUN_RESULTS,
    SCORES,
    UNLEARNED,
)
from privaudit.errors import StoreError
from privaudit.results.audit.training_record import RetrainedRecord
from privaudit.results.base import read_result
from privaudit.results.purge_record import PurgeRecord, SampleIdentifier
from privaudit.results.stored_audits import RemovalSummary
from privaudit.results.unlearning.outcome import REJECTED
from privaudit.runtime import files
from privaudit.runtime.identity import digest_of
from privaudit.shadow.store import COIN, TARGET, AuditStore

Rows = npt.NDArray[np.int64]

#: Why no model stays where models are estimators.
ANSWERS = "it holds what an estimator said of every sample, these among them"


def digests(folder: Path, ids: Iterable[SampleIdentifier], *, begin: bool = False) -> list[str]:
    """Return what the purge of these samples that is under way may be called.

    Parameters
    ----------
    folder
        Of the audit in the store.
    ids
        The samples.
    begin
        Make a salt where there is none: the purge begins.

    Returns
    -------
    list of str
        16 hexadecimal digits each: as an earlier version called it, unsalted; and, where there is a salt, as this one
        does: HMAC-SHA-256 of the sorted ids.
    """
    salt, names = PURGE_SALT.at(folder), list(ids)
    if begin and not files.is_whole(salt):
        files.write_text(salt, secrets.token_hex(32) + "\n")
        files.seal(salt)
    found = [digest_of_earlier_version(names)]
    if files.is_whole(salt):
        text = json.dumps(sorted(map(str, names))).encode()
        found.append(hmac.new(salt.read_bytes().strip(), text, hashlib.sha256).hexdigest()[:16])
    return found


def digest_of_earlier_version(ids: Iterable[SampleIdentifier]) -> str:
    """The unsalted digest by which an earlier version named a purge that may still be under way."""
    return digest_of(np.array(sorted(one for one in ids if isinstance(one, int)), np.int64))[:16]


@dataclass(frozen=True)
class Evidence:
    """What the store and the records prove.

    Parameters
    ----------
    saw
        Which shadow models saw one of the samples.
    stays
        Why a model never saw them, by its files.
    goes
        Why nothing proves that of the model of an unlearning run.
    whole_runs
        Folders of unlearning runs whose results are all whole.
    """

    saw: dict[str, bool]
    stays: dict[Path, str]
    goes: dict[Path, str]
    whole_runs: set[Path]

    @property
    def keys(self) -> list[str]:
        """Of every model that the design knows of."""
        return [TARGET, COIN, *self.saw]


def gather_evidence(
    store: AuditStore, out: Path, sample_ids: list[SampleIdentifier], rows: Rows, pool: int
) -> Evidence:
    """Read who saw the samples.

    Parameters
    ----------
    sample_ids
        Of all samples that are no canaries, in their order.
    rows
        Where those to purge stand.
    pool
        How many rows the score table has, canaries included.

    Raises
    ------
    StoreError
        Where another purge was cut short.
    """
    saw = _who_saw(store, out, rows, pool, {sample_ids[row] for row in rows.tolist()})
    unseen = [path for key, seen in saw.items() if not seen for path in (store.model(key), store.record(key))]
    stays = dict.fromkeys(unseen, "never saw any of them")
    runs = _runs_without(out, sample_ids, rows)
    # Training without a set that holds them all is training without them.
    without = {digest_of(np.setdiff1d(np.arange(len(sample_ids)), left)) for left in [rows, *runs.values()]}
    retrained = _retrained_on(store, without)
    for path in retrained:
        stays |= dict.fromkeys((path, path.with_suffix(".json")), "retrained without them: its record says on whom")
    for run in runs:
        path = UNLEARNED.at(out, run=run.name)
        if files.is_whole(path) and files.sha256_of(path) in retrained.values():
            stays[path] = "retrained without them: the record of the model that it is says on whom"
    if (estimator := store.read_description().identity.estimator) is not None:
        # What is kept of an estimator is what it said of every sample, seen or not.
        stays = {}
    models = [path for artifact in RUN_MODELS for path in artifact.within(out)]
    folders = {path.parent for artifact in RUN_RESULTS for path in artifact.within(out)}
    parts = {run: [artifact.at(out, run=run.name) for artifact in RUN_RESULTS] for run in folders}
    return Evidence(
        saw=saw,
        stays=stays,
        goes={
            path: _why_it_goes(path.parent) if estimator is None else ANSWERS for path in models if path not in stays
        },
        whole_runs={run for run in folders if all(map(files.is_whole, parts[run]))},
    )


def _retrained_on(store: AuditStore, members: set[str]) -> dict[Path, str]:
    """Models that were trained on one of these sets of rows, provably, and the SHA-256 of each."""
    found = {}
    for path in RETRAINED.within(store.folder):
        record = path.with_suffix(".json")
        if not path.parent.is_symlink() and files.is_whole(path) and files.is_whole(record):
            told, weights = read_result(record, RetrainedRecord), files.sha256_of(path)
            if told.members_sha256 in members and told.sha256 == weights:
                found[path] = weights
    return found


def _why_it_goes(run: Path) -> str:
    """Say why the model of an unlearning run does not stay; only what was trained without the samples does."""
    path = run / Path(REMOVAL_RECORD.path).name
    if run.is_symlink() or not files.is_whole(path):
        return "its record is not whole: nothing says what it is"
    record = read_result(path, RemovalSummary)
    if record.method.exact:
        return "retrained, but not proven to be without these samples: it may have been trained on some of them"
    began = f"{record.method.method} began from the target, which was trained on these samples"
    if record.predecessor is not None:
        began = f"{record.method.method} went on from {record.predecessor.run}, whose model goes by the same rule"
    if record.outcome in REJECTED:
        return f"outcome {record.outcome}: {began}, and nothing was removed"
    told = "" if record.outcome is None else f"outcome {record.outcome}: "
    return f"{told}{began}, and nothing proves that nothing is left of them"


def _who_saw(store: AuditStore, out: Path, rows: Rows, pool: int, ids: set[SampleIdentifier]) -> dict[str, bool]:
    """Tell which shadow models saw one of the samples; `StoreError` where another purge was cut short."""
    purges, names = store.read_purges(), digests(store.folder, ids)
    begun = purges[-1] if purges and purges[-1].digest not in names else None
    # While a purge is under way there is a salt; after its last table it is told in the results.
    results = RESULTS.at(out)
    told = files.read_json(results).get("purges", []) if files.is_whole(results) else []
    if begun is not None and len(names) > 1 and begun.digest not in {purge["digest"] for purge in told}:
        raise _cut_short(begun)
    # A purge that was cut short may not have sealed the design again.
    saw = store.read_members(unsealed=files.inspect_seal(store.design) is files.Seal.UNFINISHED)
    if all(len(members) == pool for members in saw.values()):
        return {key: bool(members[rows].any()) for key, members in saw.items()}
    # It has cut the design: who saw these samples was gone by then.
    if begun is not None:
        raise _cut_short(begun)
    if not purges:
        raise StoreError(f"{store.design} is not of the samples of {SCORES.at(out)}", hint="Score again.")
    return {key: not store.model(key).exists() for key in saw}


def _cut_short(begun: PurgeRecord) -> StoreError:
    return StoreError(
        f"the purge of {begun.samples:,} samples on {begun.date} was cut short",
        hint="Run that privaudit purge again first: it goes on where it stopped.",
    )


def _runs_without(out: Path, sample_ids: list[SampleIdentifier], rows: Rows) -> dict[Path, Rows]:
    """Runs whose forget set holds all the samples, and the rows of that, by their whole records."""
    place = {one: row for row, one in enumerate(sample_ids)}
    found = {}
    for path in REMOVAL_RECORD.within(out):
        if path.parent.is_symlink() or not files.is_whole(path):
            continue
        of_run = [place.get(entry.sample_id) for entry in read_result(path, RemovalSummary).removed]
        forgotten = np.sort(np.array([row for row in of_run if row is not None], np.int64))
        # One whose samples are not all known was made before an earlier purge: its rows are counted otherwise.
        if len(forgotten) == len(of_run) and np.isin(rows, forgotten).all():
            found[path.parent] = forgotten
    return found
