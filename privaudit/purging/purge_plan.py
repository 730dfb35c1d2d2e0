"""What a purge would remove, cut and leave: every file by name, before anything is touched.

What becomes of which kind of file is declared in `privaudit.artifacts`; nothing is passed over for being unknown.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from privaudit import artifacts
from privaudit.artifacts import Artifact, Purge
from privaudit.config import DEFAULT_OUT, DEFAULT_STORE
from privaudit.config.audit_options import PlaceOptions
from privaudit.errors import PrivauditError, StoreError, UsageError
from privaudit.purging.purge_evidence import Evidence, gather_evidence
from privaudit.results.purge_record import SampleIdentifier
from privaudit.results.report_paths import ReportPaths
from privaudit.results.stored_audits import FileAndReason, OtherAudit, PurgeResults
from privaudit.runtime import files, links, locks, seals
from privaudit.shadow.store import AuditStore, audits_in, open_audit
from privaudit.unlearning.requests.forget_set import ForgetSet, choose_forget_set
from privaudit.unlearning.requests.request_cells import KnownSamples

#: What `privaudit.runtime.files` calls a damaged file that it moved out of the way.
SET_ASIDE = re.compile(r".+\.damaged-[0-9]+")

#: Said of every purge.
NOTES = (
    "An unlearned model goes unless its outcome is exact: it began as the target, and nothing proves what is left in "
    "it. Only a model that was trained without these samples stays.",
    "Left in place: the data itself, which is not the audit's; figures over all samples, which were computed with "
    "them; records of removal, which say what was removed at whose request; copies elsewhere, which are beyond this "
    "tool.",
    "To be rebuilt: take the samples out of the data, then run privaudit score on it: that is a new audit. This one "
    "can be verified and shown, and trains nothing any more.",
)


@dataclass
class PurgePlan:
    """What a purge would do: files by what happens to them.

    Parameters
    ----------
    audit, chosen, table, ids
        Of which audit which samples, its score table, canaries included, and the samples' ids.
    remove
        By kind: files to delete, with their seals.
    cut
        Arrays to cut rows (axis 0) or columns (axis 1) from.
    tables
        Per-sample tables to drop rows of.
    named
        Results that name a few samples, which are taken out.
    anew
        Reports to render anew.
    keep
        Models and results that stay, and why.
    gone
        Of the files to delete, models of unlearning runs, and why.
    unknown
        What privaudit did not write, or can't reach: it is left alone, and named.
    others
        Other audits of the store that hold the samples too, or may, each with the command that purges it.
    notes
        What else to say.
    report
        Where the report is once it is done.
    """

    audit: str
    chosen: ForgetSet
    table: pd.DataFrame
    ids: set[SampleIdentifier]
    remove: dict[str, list[Path]] = field(default_factory=dict)
    cut: list[tuple[Path, int]] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    named: list[Path] = field(default_factory=list)
    anew: list[Path] = field(default_factory=list)
    keep: list[tuple[Path, str]] = field(default_factory=list)
    gone: list[tuple[Path, str]] = field(default_factory=list)
    unknown: list[tuple[Path, str]] = field(default_factory=list)
    others: list[OtherAudit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    report: ReportPaths | None = None

    @property
    def removed(self) -> list[Path]:
        """Every file to delete."""
        return [path for paths in self.remove.values() for path in paths]

    @property
    def models_removed(self) -> int:
        """How many of them are models."""
        return sum(path.suffix == ".safetensors" for path in self.removed)

    def result(self) -> PurgeResults:
        """As ``purge --json`` prints it."""
        reasons = {
            name: [FileAndReason(file=str(path), why=why) for path, why in found]
            for name, found in {
                "unlearned_removed": self.gone,
                "models_kept": [one for one in self.keep if one[0].suffix == ".safetensors"],
                "results_kept": [one for one in self.keep if one[0].suffix != ".safetensors"],
                "unknown": self.unknown,
            }.items()
        }
        results = PurgeResults(
            audit=self.audit,
            samples=len(self.chosen.rows),
            models_removed=self.models_removed,
            files_removed=len(self.removed),
            arrays_cut=len(self.cut),
            tables_cut=len(self.tables),
            removed={kind: [str(path) for path in paths] for kind, paths in self.remove.items()},
            cut=[str(path) for path in [*(path for path, _ in self.cut), *self.tables, *self.named]],
            made_anew=[str(path) for path in self.anew],
            other_audits=self.others,
            skipped=list(dict.fromkeys(one.sample_id for one in self.chosen.skipped)),
            notes=self.notes,
            **reasons,
        )
        return results if self.report is None else results.model_copy(update={"report": self.report})

    def sort(self, folder: Path, manifest: Sequence[Artifact], evidence: Evidence, leftovers: str = "") -> None:
        """Sort every file below a folder; ``leftovers`` is what those of killed commands are called, if not so."""
        regular, strange = _files_below(folder)
        for path in regular:
            if SET_ASIDE.fullmatch(path.name):
                self._goes(leftovers or "damaged files that were set aside", path)
            elif locks.is_unfinished(path.name):
                self._goes(leftovers or "files that a killed command did not finish", path)
            elif (found := artifacts.artifact_at(path.relative_to(folder).as_posix(), manifest, evidence.keys)) is None:
                if path.name not in artifacts.MARKERS:
                    self.unknown.append((path, "not made by privaudit"))
            else:
                self._take(path, found, evidence)
        self.unknown += [(path, "a link or a special file: not followed") for path in strange]

    def _goes(self, kind: str, path: Path) -> None:
        self.remove.setdefault(kind, []).append(path)

    def _take(self, path: Path, artifact: Artifact, evidence: Evidence) -> None:
        """Do with a file as its kind says."""
        if artifact in artifacts.RUN_RESULTS and path.parent not in evidence.whole_runs:
            self._goes("damaged or unfinished runs", path)
            return
        match artifact.purge:
            case Purge.REMOVE:
                self._goes(artifact.kind, path)
            case Purge.CUT_ROWS | Purge.CUT_COLUMNS:
                self.cut.append((path, int(artifact.purge is Purge.CUT_COLUMNS)))
            case Purge.DROP_ROWS:
                self.tables.append(path)
            case Purge.UNNAME:
                self.named.append(path)
            case Purge.RENDER:
                self.anew.append(path)
            case Purge.KEEP_IF_WHOLE if files.is_whole(path):
                self.keep.append((path, artifact.kind))
            case Purge.KEEP_IF_WHOLE:
                self._goes("damaged files", path)
            case Purge.KEEP_IF_PROVEN if path in evidence.stays:
                # Its record stays with it.
                self.keep += [(path, evidence.stays[path])] if path.suffix == ".safetensors" else []
            case Purge.KEEP_IF_PROVEN:
                self._goes(artifact.kind, path)
                self.gone += [(path, evidence.goes[path])] if path in evidence.goes else []


def plan_purge(
    places: PlaceOptions, audit: str | None, forget: str, seed: int, *, skip_unknown: bool = False
) -> PurgePlan:
    """Look at what the audit holds of the samples; nothing is changed.

    Parameters
    ----------
    places
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
    store, results = open_audit(Path(places.store), audit), Path(places.out)
    out = results / store.audit
    _demand_no_links(store, out)
    table = _read_scores(out)
    real = table[~table["canary"]].reset_index(drop=True)
    data = store.read_description().data
    known = KnownSamples.of(real, None if data.table is None else data.table.id)
    chosen = choose_forget_set(forget, real, tuple(data.classes), seed, skip_unknown=skip_unknown, known=known)
    sample_ids: list[SampleIdentifier] = real["sample_id"].tolist()
    plan = PurgePlan(store.audit, chosen, table, {sample_ids[row] for row in chosen.rows.tolist()})
    plan.others = _other_audits(places, store, forget, seed, plan.ids)
    evidence = gather_evidence(store, out, sample_ids, chosen.rows, len(table))
    plan.sort(store.folder, artifacts.STORE, evidence)
    plan.sort(out, artifacts.OUTPUT, evidence)
    # Comparisons hold the risk of every sample under two audits.
    if not (results / artifacts.COMPARISONS).is_symlink():
        for folder in artifacts.comparisons_with(store.audit, results):
            plan.sort(folder, artifacts.COMPARISON, evidence, artifacts.COMPARISON[0].kind)
    defences = results / artifacts.DEFENCES / store.audit
    if defences.is_dir() and not (defences.is_symlink() or defences.parent.is_symlink()):
        plan.sort(defences, artifacts.DEFENCE_FILES, evidence, artifacts.LEFT_OUT.kind)
    studies = results / artifacts.REPRODUCTION
    if not studies.is_symlink() and any(studies.glob(f"{store.audit}-*/*")):
        # Its first figure may show pictures of this audit.
        plan.anew += [path for path in artifacts.REPORT.within(studies) if path.is_file()]
    for path in artifacts.exports_of(store.audit, results):
        # One may be in use: it is named, and left.
        why = "an exported model, a copy of one of this audit's, perhaps in use: delete it if that goes"
        if (estimator := path.with_name("model.skops")).exists():
            plan.unknown.append((estimator, f"{why} (an estimator may hold training samples as they are)"))
        else:
            plan.unknown.append((path.with_name("model.safetensors"), why))
    plan.notes = [
        f"{sum(evidence.saw.values())} of {len(evidence.saw)} shadow models saw at least one of the {len(plan.ids):,} "
        "samples (half of them saw any one), and so did the target.",
        *NOTES,
        *(["Once they are not needed, delete the list of requests and what else names them."] if chosen.said else []),
    ]
    return plan


def _files_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Regular files below a folder (a seal stands for its file), and links and special files, which are not followed.

    A folder that is itself a link is one of the latter.
    """
    if folder.is_symlink():
        return [], [folder]
    return sorted({seals.sealed_by(path) for path in links.list_files(folder)}), links.list_strange(folder)


def _demand_no_links(store: AuditStore, out: Path) -> None:
    """Raise `StoreError` where what is to be cut, or a folder on the way to it, is a link: it lies elsewhere."""
    runs = artifacts.METRICS.at(out, run="any").parents[1]
    models = {path.parent for path in store.files_of("any")}
    for folder in (store.folder, out):
        for path in _files_below(folder)[1]:
            if path in {folder, runs, *models} or path.suffix in artifacts.OURS or path.parent == runs:
                raise StoreError(
                    f"{path} is a link or a special file, which purge does not follow: nothing was purged",
                    hint="Put the file or folder itself in its place, and purge again.",
                )


def _read_scores(out: Path) -> pd.DataFrame:
    """The score table: whole, or as a purge left it that was cut short before its seal."""
    path, results = artifacts.SCORES.at(out), artifacts.RESULTS.at(out)
    if not files.is_whole(path):
        announced = files.read_json(results).get("table_sha256") if files.is_whole(results) else None
        if files.inspect_seal(path) is not files.Seal.UNFINISHED or announced != files.sha256_of(path):
            raise UsageError(
                f"{path} is not there or not whole: it says where each sample stands",
                hint="Name the folder of the results with --out, or score again.",
            )
    return pd.read_parquet(path)


def _other_audits(
    places: PlaceOptions, store: AuditStore, forget: str, seed: int, ids: set[SampleIdentifier]
) -> list[OtherAudit]:
    """Audits of the same data, or of that data set in another size, not known to be without the samples."""
    own = store.read_description().identity
    flags = [] if places.store == DEFAULT_STORE else ["--store", str(places.store)]
    flags += [] if places.out == DEFAULT_OUT else ["--out", str(places.out)]
    flags += [] if seed == 0 else ["--seed", str(seed)]
    found = []
    for name in audits_in(store.root):
        if name == store.audit:
            continue
        command = shlex.join(["privaudit", "purge", "--audit", name, "--forget", forget, *flags])
        try:
            other = AuditStore(store.root, name).read_description().identity
        except PrivauditError:
            told = "can't be told: its audit.json can't be read"
            found.append(OtherAudit(audit=name, holds=told, command=command))
            continue
        same = other.fingerprint == own.fingerprint
        if not same and other.dataset != own.dataset:
            continue
        held = _held(artifacts.SCORES.at(Path(places.out) / name), ids)
        if held != 0:
            told = "can't be told: its results are not there" if held is None else f"{held:,} of these samples"
            found.append(OtherAudit(audit=name, same_data=same, holds=told, command=command))
    return found


def _held(scores: Path, ids: set[SampleIdentifier]) -> int | None:
    """How many of the samples another audit's score table holds; None where it can't be read."""
    if not files.is_whole(scores):
        return None
    return int(pd.read_parquet(scores, columns=["sample_id"])["sample_id"].isin(list(ids)).sum())
