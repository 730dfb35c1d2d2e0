"""From what a user names (a file, a folder, an audit, a run) to one stored model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from privaudit.artifacts import EXPORTED
from privaudit.audit.result_files import MODEL, MODELS, REJECTED_MODEL, RESULTS
from privaudit.config.audit_options import PlaceOptions
from privaudit.deployment.model_description import ModelKind
from privaudit.errors import DataError, StoreError, UsageError
from privaudit.results.base import read_result
from privaudit.results.unlearning.removal_record import RemovalRecord
from privaudit.results.unlearning.run import UnlearnRun
from privaudit.runtime import files
from privaudit.runtime.links import absolute
from privaudit.shadow.store import COIN, TARGET, AuditStore, audits_in, latest_audit, open_audit
from privaudit.unlearning.application.removal_record import RECORD

#: The results of an unlearning run, sealed last.
METRICS = "metrics.json"

#: The last run of the latest audit.
LATEST = "latest"

#: How many names a message lists.
NAMED = 10

_SUFFIX = ".safetensors"

_FINISH = "Run the same privaudit unlearn again: it finishes the run, or makes it anew."
_MAKE_ANEW = "Run the same privaudit command again: it makes anew what is not whole."


@dataclass(frozen=True)
class StoredModel:
    """One model of a store, or of an unlearning run.

    Parameters
    ----------
    path
        Its weights.
    store
        Of its audit.
    kind
        How it came about.
    run
        The folder of the run that made it.
    """

    path: Path
    store: AuditStore
    kind: ModelKind
    run: Path | None = None


def find_model(named: str | Path, places: PlaceOptions) -> StoredModel:
    """Find the model that a path or a name stands for.

    Parameters
    ----------
    named
        A model's file; the folder of a run, of an audit or of its results; the name of an audit or a run; or
        ``latest``, the last run of the latest audit. Of an audit it is the target.
    places
        Where models are kept and results are.

    Raises
    ------
    UsageError
        Where there is nothing of that name.
    DataError
        Where the file is no model of a store.
    StoreError
        Where the audit of a run can't be found.
    """
    path = absolute(Path(named))
    if path.suffix == _SUFFIX:
        return _of_file(path, places)
    if path.is_dir():
        return _of_folder(path, places)
    if path.exists():
        raise DataError(f"{named} is no model: those of a store are {_SUFFIX} files")
    if len(Path(named).parts) > 1:
        raise UsageError(f"there is no file or folder {path}", hint=_known(places))
    return _of_name(str(named), places)


def _of_file(path: Path, places: PlaceOptions) -> StoredModel:
    folder = path.parent
    if _is_run(folder) and path.name in MODELS:
        return _of_run(folder, places, path)
    if (folder / "audit.json").is_file() and path.stem in (TARGET, COIN):
        return StoredModel(path, _store_at(folder), "target" if path.stem == TARGET else "coin")
    if (folder.parent / "audit.json").is_file() and folder.name in ("models", "retrained"):
        return StoredModel(path, _store_at(folder.parent), "shadow" if folder.name == "models" else "retrained")
    if not path.exists():
        raise UsageError(f"there is no file {path}", hint=_known(places))
    if (folder / EXPORTED).is_file():
        raise DataError(
            f"{path} is an exported model: it is loaded without privaudit",
            hint=f"from load import load, in {folder}; privaudit itself loads the model that was exported.",
        )
    raise DataError(
        f"{path} is no model of an audit: there is no audit.json beside or above it, and it is not in a run's folder",
        hint="Which code such a file belongs to is not on record. A model of your own is audited by "
        "privaudit score --target FILE, and is then in the store.",
    )


def _of_folder(path: Path, places: PlaceOptions) -> StoredModel:
    if _is_run(path):
        return _of_run(path, places)
    if (path / "audit.json").is_file():
        return _target_of(_store_at(path))
    if (path / RESULTS).is_file():
        return _target_of(_store_of(path, places))
    raise UsageError(f"{path} is no folder of an audit or of a run", hint=_known(places))


def _of_name(name: str, places: PlaceOptions) -> StoredModel:
    if name in audits_in(Path(places.store)):
        return _target_of(open_audit(Path(places.store), name))
    if name == LATEST:
        return _of_run(_latest_run(places), places)
    runs = [path for path in sorted(Path(places.out).glob("*/unlearn/*")) if path.name == name]
    if len(runs) > 1:
        raise UsageError(f"{len(runs)} audits have a run '{name}'", hint=f"Name its folder, {runs[0]} for one.")
    if not runs:
        raise UsageError(f"there is no audit and no run '{name}'", hint=_known(places))
    return _of_run(runs[0], places)


def _latest_run(places: PlaceOptions) -> Path:
    """The last run that ended, of the latest audit."""
    audit = latest_audit(Path(places.store))
    runs = [] if audit is None else list(_ended(Path(places.out) / audit))
    if not runs:
        raise UsageError(
            f"{'there is no latest audit' if audit is None else f'{audit} has no unlearning run'}, "
            f"by {Path(places.store).absolute()} and {Path(places.out).absolute()}",
            hint=f"Name {'an audit' if audit is None else f'the audit, {audit},'} to have its target model, or make a "
            "run: privaudit unlearn.",
        )
    return max(runs, key=lambda one: (one[0], one[1].name))[1]


def _ended(out: Path) -> Iterator[tuple[int, Path]]:
    for path in out.glob(f"unlearn/*/{METRICS}"):
        if files.is_whole(path):
            yield read_result(path, UnlearnRun).number, path.parent


def _of_run(run: Path, places: PlaceOptions, path: Path | None = None) -> StoredModel:
    """The model that a run left, whatever it is called: its record says whose it is."""
    store = _store_of(run.parent.parent, places)
    if path is None:
        found = [run / name for name in MODELS if (run / name).exists()]
        path = found[0] if found else run / (REJECTED_MODEL if _was_rejected(run) else MODEL)
    return StoredModel(path, store, "unlearned", run)


def _was_rejected(run: Path) -> bool:
    return files.is_whole(run / METRICS) and read_result(run / METRICS, UnlearnRun).is_rejected


def _target_of(store: AuditStore) -> StoredModel:
    return StoredModel(store.model(TARGET), store, "target")


def _is_run(folder: Path) -> bool:
    return folder.parent.name == "unlearn"


def _store_at(folder: Path) -> AuditStore:
    return AuditStore(folder.parent, folder.name)


def _store_of(results: Path, places: PlaceOptions) -> AuditStore:
    """The store of an audit whose results lie in this folder: where it should be, else beside the output."""
    audit, beside = results.name, results.parent.parent
    others = sorted(beside.iterdir()) if beside.is_dir() else []
    roots = [Path(places.store), *(path for path in others if path.is_dir())]
    for root in roots:
        if (root / audit / "audit.json").is_file():
            return AuditStore(root, audit)
    raise StoreError(
        f"audit {audit}, whose results are in {results}, is not in {Path(places.store).absolute()}, nor in a folder of "
        f"{beside}",
        hint="Name the folder that its models are kept in: --store DIR, from Python store=DIR. Was the folder of "
        "results renamed? Give it its old name back.",
    )


def _known(places: PlaceOptions) -> str:
    """What could have been named."""
    audits = audits_in(Path(places.store))
    runs = [path.parent.name for path in sorted(Path(places.out).glob(f"*/unlearn/*/{METRICS}"))]
    shown = [
        f"{kind} in {place}: {', '.join(names[:NAMED])}" + (" …" if len(names) > NAMED else "")
        for kind, place, names in (("audits", Path(places.store), audits), ("runs", Path(places.out), runs))
        if names
    ]
    return f"There are {'; '.join(shown)}." if shown else "There is none; make one: privaudit score --dataset digits"


def demand_whole(model: StoredModel) -> None:
    """Raise `StoreError` where weights or their record are unfinished, damaged, of another place, or were purged."""
    _demand_not_purged(model)
    if model.run is None:
        parts = [model.path, model.path.with_suffix(".json")]
    else:
        parts = [model.run / RECORD, model.path, model.run / METRICS]
    for path in parts:
        files.demand_whole(path, _MAKE_ANEW if model.run is None else _FINISH)


def record_of_run(model: StoredModel, run: Path) -> RemovalRecord:
    """Read the record of a run, which says how its model came about; `StoreError` where it is about another model."""
    record = read_result(run / RECORD, RemovalRecord)
    known = ((record.audit, model.store.audit), (record.run, run.name))
    strange = next((said for said, name in known if said not in (None, name)), None)
    if strange is not None or record.model is None or record.model.sha256 != files.sha256_of(model.path):
        raise StoreError(
            f"{model.path} is not the model that {run / RECORD} is about"
            + ("" if strange is None else f": that is of {strange}"),
            hint=_FINISH,
        )
    return record


def _demand_not_purged(model: StoredModel) -> None:
    """Say that a model which is gone was purged: it is not damaged, and is not made again."""
    if model.path.exists():
        return
    purges = model.store.read_purges()
    if not purges:
        return
    if model.run is None:
        name = model.path.relative_to(model.store.folder).as_posix()
        purges = [purge for purge in purges if name in purge.files]
    elif not files.is_whole(model.run / RECORD):
        return
    if purges:
        raise StoreError(
            f"{model.path} was purged on {purges[-1].date}: it had been trained on samples that were removed",
            hint="Models that never saw them are kept: privaudit list. Or audit the data without them: "
            "privaudit score … makes a new audit.",
        )
