"""Every file of an audit and its results, and what a purge does with it: nothing is passed over for being unknown."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from privaudit.audit.inversion.inversion_images import PICTURES, RECONSTRUCTIONS
from privaudit.audit.result_files import COMPARISONS, REPRODUCTION, RESULTS, SCORES
from privaudit.commands.unlearning.unlearn_run import EXPOSURE, FORGETTING, METRICS
from privaudit.errors import StoreError
from privaudit.evaluation.measures.outcome import REJECTED
from privaudit.purging.purge_digest import SALT
from privaudit.report.redaction import SALT as REDACTION_SALT
from privaudit.report.sample_images import THUMBNAILS
from privaudit.runtime import files
from privaudit.runtime.links import MARK
from privaudit.shadow.store import COIN, PURGES, TARGET, AuditStore
from privaudit.trials.treatment import FOLDER as TRIALS
from privaudit.unlearning.application.removal_record import RECORD

#: What `privaudit.runtime.files` calls a damaged file that it moved out of the way.
SET_ASIDE = re.compile(r".+\.damaged-[0-9]+")

#: Rendered anew from what is left when everything else is done.
REPORTS = ("report.json", "report.html", "report.pdf")

#: Of a comparison.
COMPARED = (*REPORTS, "comparison.json", "samples.parquet")

#: How names of files end that an audit writes; whatever ends otherwise is the user's.
OURS = (".safetensors", ".json", ".npy", ".npz", ".parquet", ".csv")

#: Below a run's folder, while it is under way.
WORKING = {"stages": "stages of interrupted runs", "u-lira": "answers of shadow models that unlearned"}


@dataclass
class Inventory:
    """Files by what happens to them.

    Parameters
    ----------
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
    """

    remove: dict[str, list[Path]] = field(default_factory=dict)
    cut: list[tuple[Path, int]] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    named: list[Path] = field(default_factory=list)
    anew: list[Path] = field(default_factory=list)
    keep: list[tuple[Path, str]] = field(default_factory=list)
    gone: list[tuple[Path, str]] = field(default_factory=list)
    unknown: list[tuple[Path, str]] = field(default_factory=list)

    def goes(self, kind: str, path: Path) -> None:
        """Put a file among those to delete."""
        self.remove.setdefault(kind, []).append(path)

    def removed(self) -> list[Path]:
        """Every file to delete."""
        return [path for paths in self.remove.values() for path in paths]


def files_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Regular files below a folder (a seal stands for its file), and links and special files, which are not followed.

    A folder that is itself a link is one of the latter.
    """
    if folder.is_symlink():
        return [], [folder]
    regular, others = set(), []
    for place, folders, names in os.walk(folder, followlinks=False):
        here = Path(place)
        others += [here / name for name in folders if (here / name).is_symlink()]
        for name in names:
            path = here / name
            if stat.S_ISREG(path.lstat().st_mode):
                regular.add(path.with_name(name.removesuffix(files.SEAL_SUFFIX)))
            else:
                others.append(path)
    return sorted(regular), sorted(others)


def demand_no_links(store: AuditStore, out: Path) -> None:
    """Raise `StoreError` where what is to be cut, or a folder on the way to it, is a link: it lies elsewhere."""
    folders = {store.folder, out, out / "unlearn"} | {store.folder / name for name in ("models", "signals", "controls")}
    for folder in (store.folder, out):
        for path in files_below(folder)[1]:
            if path in folders or path.suffix in OURS or path.parent == out / "unlearn":
                raise StoreError(
                    f"{path} is a link or a special file, which purge does not follow: nothing was purged",
                    hint="Put the file or folder itself in its place, and purge again.",
                )


def sort_store(found: Inventory, store: AuditStore, saw: dict[str, bool], never_saw: set[Path]) -> None:
    """Sort the files of the store.

    Parameters
    ----------
    saw
        Which shadow models saw one of the samples.
    never_saw
        Files of retrained models that provably did not.
    """
    regular, others = files_below(store.folder)
    keys = [TARGET, COIN, *saw]
    models = {part: key for key in keys for part in (store.model(key), store.record(key))}
    signals = {store.signals(key) for key in keys}
    tests = {store.control("test", key) for key in keys}
    for path in regular:
        where = path.relative_to(store.folder).parts[0]
        if (kind := _leftover(path)) is not None:
            found.goes(kind, path)
        elif path.suffix not in OURS and path.name != SALT:
            _is_unknown(found, path)
        elif path == store.design or path in signals:
            found.cut.append((path, int(path == store.design)))
        elif path in models:
            key = models[path]
            if saw.get(key, True):
                found.goes("shadow models" if key in saw else "target models", path)
            elif path.suffix == ".safetensors":
                found.keep.append((path, "never saw any of them"))
        elif path in never_saw:
            if path.suffix == ".safetensors":
                found.keep.append((path, "retrained without them: its record says on whom"))
        elif where == "retrained":
            found.goes("retrained models not known to have been trained without them", path)
        elif where == "inversion":
            found.goes("results of inversion", path)
        elif where == "controls" and path not in tests:
            found.goes("answers of untrained models", path)
        elif where in ("models", "signals") or path.suffix == ".safetensors":
            found.goes("models and signals that the design does not know", path)
        elif path == store.encoding:
            found.keep.append((path, "medians, and words that at least five samples had"))
        elif path not in tests and path not in (store.description, store.folder / PURGES, store.folder / SALT):
            _is_unknown(found, path)
    found.unknown += [(path, "a link or a special file: not followed") for path in others]


def sort_output(found: Inventory, out: Path, exact_models: set[Path]) -> None:
    """Sort the files of the results' folder; ``exact_models`` are unlearned by retraining, provably without them."""
    regular, others = files_below(out)
    whole_runs = {
        folder
        for folder in {path.parent for path in regular if path.parent.parent == out / "unlearn"}
        if all(files.is_whole(folder / name) for name in (METRICS, FORGETTING, EXPOSURE))
    }
    for path in regular:
        parts = path.relative_to(out).parts
        if (kind := _leftover(path)) is not None:
            found.goes(kind, path)
        elif len(parts) == 1:
            _sort_result(found, path)
        elif path.suffix not in OURS:
            _is_unknown(found, path)
        elif parts[0] == TRIALS:
            found.goes("results of trials", path)
        elif parts[0] == "compare-orders" and path.name in ("results.json", "runs.csv"):
            _stays_if_whole(found, path, "means over groups of samples")
        elif parts[0] == "unlearn" and len(parts) > 3 and parts[2] in WORKING:
            found.goes(WORKING[parts[2]], path)
        elif parts[0] == "unlearn" and len(parts) == 3:
            _sort_run(found, path, path.parent in whole_runs, path in exact_models)
        else:
            _is_unknown(found, path)
    found.unknown += [(path, "a link or a special file: not followed") for path in others]


def sort_comparisons(found: Inventory, out: Path) -> None:
    """Sort what lies beside the results: comparisons hold the risk of every sample under two audits."""
    for folder in comparisons_of(out):
        regular, others = files_below(folder)
        for path in regular:
            if path.name in COMPARED or _leftover(path) is not None:
                found.goes("comparisons with other audits", path)
            else:
                _is_unknown(found, path)
        found.unknown += [(path, "a link or a special file: not followed") for path in others]
    studies = out.parent / REPRODUCTION
    if any(studies.glob(f"{out.name}-*/*")) and not studies.is_symlink():
        # Its first figure may show pictures of this audit.
        found.anew += [studies / name for name in REPORTS if (studies / name).is_file()]


def comparisons_of(out: Path) -> list[Path]:
    """Folders of comparisons with the audit whose results lie in ``out``."""
    folder = out.parent / COMPARISONS
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.name.startswith(f"{out.name}--") or path.name.endswith(f"--{out.name}")
    ]


def _sort_result(found: Inventory, path: Path) -> None:
    if path.name in (RECONSTRUCTIONS, PICTURES, THUMBNAILS):
        found.goes("pictures and reconstructions", path)
    elif path.name == "scores.csv":
        found.goes("tables as CSV", path)
    elif path.name == SCORES:
        found.tables.append(path)
    elif path.name == RESULTS:
        found.named.append(path)
    elif path.name in REPORTS:
        found.anew.append(path)
    elif path.name != REDACTION_SALT:
        _is_unknown(found, path)


def _sort_run(found: Inventory, path: Path, is_whole: bool, is_exact: bool) -> None:
    """A file of a run's own folder; of a run that is not whole nothing stays but its record."""
    if path.name == RECORD:
        _stays_if_whole(found, path, "a record of removal")
    elif path.suffix == ".safetensors":
        if is_exact:
            found.keep.append((path, "retrained without them: the record of the model that it is says on whom"))
        else:
            found.goes("models of unlearning runs", path)
            found.gone.append((path, _why_it_goes(path.parent)))
    elif path.name not in (METRICS, FORGETTING, EXPOSURE):
        _is_unknown(found, path)
    elif not is_whole:
        found.goes("damaged or unfinished runs", path)
    elif path.name == METRICS:
        found.named.append(path)
    else:
        found.tables.append(path)


def _why_it_goes(run: Path) -> str:
    """Why the model of an unlearning run does not stay; only what was trained without the samples does."""
    if not files.is_whole(run / RECORD):
        return "its record is not whole: nothing says what it is"
    record = files.read_json(run / RECORD)
    method, outcome = record["method"]["method"], record.get("outcome")
    if record["method"].get("exact"):
        return "retrained, but not proven to be without these samples: it may have been trained on some of them"
    began = f"{method} began from the target, which was trained on these samples"
    if outcome in REJECTED:
        return f"outcome {outcome}: {began}, and nothing was removed"
    told = "" if outcome is None else f"outcome {outcome}: "
    return f"{told}{began}, and nothing proves that nothing is left of them"


def _stays_if_whole(found: Inventory, path: Path, why: str) -> None:
    if files.is_whole(path):
        found.keep.append((path, why))
    else:
        found.goes("damaged files", path)


def _leftover(path: Path) -> str | None:
    if SET_ASIDE.fullmatch(path.name):
        return "damaged files that were set aside"
    return "files that a killed command did not finish" if files.is_unfinished(path.name) else None


def _is_unknown(found: Inventory, path: Path) -> None:
    if path.name not in (".lock", MARK):
        found.unknown.append((path, "not made by privaudit"))


def empty_folders_above(paths: list[Path], roots: list[Path]) -> Iterator[Path]:
    """The folders that these files lay in, the deepest first, below one of the roots."""
    above = {part for path in paths for root in roots if root in path.parents for part in path.parents}
    inside = [part for part in above if any(root in part.parents for root in roots)]
    yield from sorted(inside, key=lambda part: len(part.parts), reverse=True)
