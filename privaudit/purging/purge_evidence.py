"""What is known of who saw the samples to purge: by the design, and by the records of what was trained without them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit.artifacts import REMOVAL_RECORD, RESULTS, RETRAINED, RUN_RESULTS, SCORES, UNLEARNED
from privaudit.errors import StoreError
from privaudit.evaluation.measures.outcome import REJECTED
from privaudit.purging.purge_digest import digests
from privaudit.results.base import read_result
from privaudit.results.purge_record import PurgeRecord, SampleIdentifier
from privaudit.results.stored_audits import RemovalSummary
from privaudit.results.training_record import RetrainedRecord
from privaudit.runtime import files
from privaudit.shadow.store import COIN, TARGET, AuditStore, shadow_key
from privaudit.unlearning.application.retrained_models import members_digest

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """What the store and the records prove.

    Parameters
    ----------
    saw
        Which shadow models saw one of the samples.
    proven
        Retrained models, and models of runs that are one of these bit for bit, which never did; with their records.
    whole_runs
        Folders of unlearning runs whose results are all whole.
    """

    saw: dict[str, bool]
    proven: set[Path]
    whole_runs: set[Path]

    @property
    def keys(self) -> list[str]:
        """Of every model that the design knows of."""
        return [TARGET, COIN, *self.saw]

    def why_it_stays(self, path: Path, key: str | None) -> str | None:
        """Say why a model never saw the samples; None where it did, or nothing proves that it did not."""
        if key is not None:
            return None if self.saw.get(key, True) else "never saw any of them"
        if path not in self.proven:
            return None
        whose = "the record of the model that it is" if path.name == Path(UNLEARNED.path).name else "its record"
        return f"retrained without them: {whose} says on whom"


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
    runs = _runs_without(out, sample_ids, rows)
    # Training without a set that holds them all is training without them.
    without = {members_digest(np.setdiff1d(np.arange(len(sample_ids)), left)) for left in [rows, *runs.values()]}
    retrained: dict[Path, str] = {}
    for path in RETRAINED.within(store.folder):
        record = path.with_suffix(".json")
        if not path.parent.is_symlink() and files.is_whole(path) and files.is_whole(record):
            found, weights = read_result(record, RetrainedRecord), files.sha256_of(path)
            if found.members_sha256 in without and found.sha256 == weights:
                retrained[path] = weights
    models = [UNLEARNED.at(out, run=folder.name) for folder in runs]
    exact = {path for path in models if files.is_whole(path) and files.sha256_of(path) in retrained.values()}
    folders = {path.parent for artifact in RUN_RESULTS for path in artifact.within(out)}
    whole = {run for run in folders if all(files.is_whole(artifact.at(out, run=run.name)) for artifact in RUN_RESULTS)}
    return Evidence(saw, {*retrained, *(path.with_suffix(".json") for path in retrained), *exact}, whole)


def why_it_goes(run: Path) -> str:
    """Say why the model of an unlearning run does not stay; only what was trained without the samples does."""
    path = run / Path(REMOVAL_RECORD.path).name
    if not files.is_whole(path):
        return "its record is not whole: nothing says what it is"
    record = read_result(path, RemovalSummary)
    if record.method.exact:
        return "retrained, but not proven to be without these samples: it may have been trained on some of them"
    began = f"{record.method.method} began from the target, which was trained on these samples"
    if record.outcome in REJECTED:
        return f"outcome {record.outcome}: {began}, and nothing was removed"
    told = "" if record.outcome is None else f"outcome {record.outcome}: "
    return f"{told}{began}, and nothing proves that nothing is left of them"


def _who_saw(store: AuditStore, out: Path, rows: Rows, pool: int, ids: set[SampleIdentifier]) -> dict[str, bool]:
    """Tell which shadow models saw one of the samples; `StoreError` where another purge was cut short."""
    purges, names = store.read_purges(), digests(store.folder, ids)
    begun = purges[-1] if purges and purges[-1].digest not in names else None
    # While a purge is under way there is a salt; after its last table it is told in the results.
    if begun is not None and len(names) > 1 and begun.digest not in purges_told(out):
        raise _cut_short(begun)
    unsealed = files.inspect_seal(store.design) is files.Seal.UNFINISHED
    keep = files.read_array(store.design) if unsealed else store.read_design()
    if keep.shape[1] == pool:
        return {shadow_key(index): bool(row[rows].any()) for index, row in enumerate(keep)}
    # A purge that was cut short has cut the design: who saw these samples was gone by then.
    if begun is not None:
        raise _cut_short(begun)
    if not purges:
        raise StoreError(f"{store.design} is not of the samples of {SCORES.at(out)}", hint="Score again.")
    return {shadow_key(index): not store.model(shadow_key(index)).exists() for index in range(len(keep))}


def purges_told(out: Path) -> set[str]:
    """Return the digests of the purges that an audit's results tell of."""
    results = RESULTS.at(out)
    told = files.read_json(results).get("purges", []) if files.is_whole(results) else []
    return {purge["digest"] for purge in told}


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
