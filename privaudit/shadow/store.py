"""The store of one audit: models and signals that are finished, whole, and never made twice.

A model is finished once all its files and then its record are sealed (see `privaudit.runtime.files`). Whatever is
unfinished or damaged is made again; because weights depend on configuration, seed and index alone, it comes out the
same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit import artifacts
from privaudit.errors import StoreError, UsageError
from privaudit.results.audit.audit_description import GRADIENT, AuditDescription, StoreFormat
from privaudit.results.base import read_result, read_results, write_result, write_results
from privaudit.results.purge_record import PurgeRecord
from privaudit.runtime import files, locks
from privaudit.runtime.progress import talk
from privaudit.signals import SIGNALS

LATEST = "latest"
FORMAT = 1
TARGET = "target"

#: The model trained on everything and on those canaries whose coin said so.
COIN = "coin"

#: The training whose steps are read, and of which no model is kept: canaries that are gradients are in it by coins.
GRADIENTS = "gradients"
REMEDY = "Run the same privaudit score again: it makes anew what is missing or damaged."


def shadow_key(index: int) -> str:
    """The name of shadow model ``index`` in the store."""
    return f"{index:04d}"


def shadow_keys(models: int) -> list[str]:
    """Names of the first ``models`` shadow models."""
    return [shadow_key(index) for index in range(models)]


class AuditStore:
    """Files of one audit below ``<store>/<audit>/``, by their names in `privaudit.artifacts`.

    Parameters
    ----------
    root
        The store's folder.
    audit
        The audit's name.
    """

    def __init__(self, root: Path, audit: str) -> None:
        self.root = root
        self.audit = audit
        self.folder = root / audit

    # Where things are.

    @property
    def description(self) -> Path:
        """``audit.json``."""
        return artifacts.DESCRIPTION.at(self.folder)

    @property
    def design(self) -> Path:
        """``design.npy``, bool ``[S, N]``."""
        return artifacts.DESIGN.at(self.folder)

    @property
    def encoding(self) -> Path:
        """``encoding.json``: how the cells of a table became features; of other data there is none."""
        return artifacts.ENCODING.at(self.folder)

    @property
    def embeddings(self) -> Path:
        """``embeddings.npy``, float32 ``[N, D]``: training, then test samples; there where only a head is trained."""
        return artifacts.EMBEDDINGS.at(self.folder)

    def model(self, key: str) -> Path:
        """Weights of shadow model ``"0003"``, of ``"target"`` or of ``"coin"``."""
        return (artifacts.WHOLE_MODEL if key in (TARGET, COIN) else artifacts.MODEL).at(self.folder, key=key)

    def record(self, key: str) -> Path:
        """How that model was trained: the last file written, so it marks the model as finished."""
        if key == GRADIENTS:
            return artifacts.STEPS_READ_RECORD.at(self.folder)
        kind = artifacts.WHOLE_MODEL_RECORD if key in (TARGET, COIN) else artifacts.MODEL_RECORD
        return kind.at(self.folder, key=key)

    def signals(self, key: str) -> Path:
        """Its signals on the pool, float32 ``[N, Q, K]``."""
        return artifacts.SIGNALS.at(self.folder, key=key)

    def control(self, kind: str, key: str) -> Path:
        """Signals of a control: ``kind`` is ``"test"`` (never-trained samples) or ``"untrained"`` (models)."""
        signals = {"test": artifacts.TEST_SIGNALS, "untrained": artifacts.UNTRAINED_SIGNALS}[kind]
        return signals.at(self.folder, key=key)

    @property
    def steps_read(self) -> Path:
        """``canaries/gradients.npy``, float32 ``[T, C]``: what an attacker read of each step, a canary a column."""
        return artifacts.STEPS_READ.at(self.folder)

    @property
    def columns(self) -> Path:
        """``columns.json``: how the columns of a DataFrame became features; of other data there is none."""
        return artifacts.COLUMNS.at(self.folder)

    def files_of(self, key: str) -> list[Path]:
        """Every file of one model, its record last."""
        if key == GRADIENTS:
            return [self.steps_read, self.record(key)]
        controls = [self.control("test", key)] + ([] if key in (TARGET, COIN) else [self.control("untrained", key)])
        return [self.model(key), self.signals(key), *controls, self.record(key)]

    # What is there.

    def mend(self, key: str) -> tuple[bool, list[Path]]:
        """Whether the model is finished, and where its damaged files went; unfinished ones are left to be replaced."""
        states = {path: files.inspect_seal(path) for path in self.files_of(key)}
        damaged = [path for path, state in states.items() if state.is_wrong]
        aside = [files.set_aside(path) or path for path in damaged]
        return all(state is files.Seal.WHOLE for state in states.values()), aside

    def is_finished(self, key: str) -> bool:
        """Whether every file of the model is there and whole."""
        return all(files.is_whole(path) for path in self.files_of(key))

    def shadow_count(self) -> int:
        """How many shadow models the design on disk provides for."""
        return len(self.read_design())

    def finished_shadows(self) -> int:
        """How many shadow models are finished, counted in whole pairs from the first on."""
        models = self.shadow_count()
        for first in range(0, models, 2):
            if not (self.is_finished(shadow_key(first)) and self.is_finished(shadow_key(first + 1))):
                return first
        return models

    def expected_files(self) -> list[Path]:
        """Every file that the finished audit consists of."""
        description = self.read_description()
        identity = description.identity
        extra = [GRADIENTS if identity.canary_kind == GRADIENT else COIN] if identity.canaries else []
        keys = [TARGET, *extra, *shadow_keys(self.shadow_count())]
        tables = [self.encoding] if description.data.table is not None else []
        if (pretrained := identity.pretrained) is not None and pretrained.is_head:
            tables.append(self.embeddings)
        expected = [self.description, self.design, *tables, *(path for key in keys for path in self.files_of(key))]
        gone = {self.folder / name for purge in self.read_purges() for name in purge.files}
        return [path for path in expected if path not in gone]

    def read_purges(self) -> list[PurgeRecord]:
        """What was purged so far, and which files went with it."""
        path = artifacts.PURGES.at(self.folder)
        if not path.exists():
            return []
        files.demand_whole(path, "Restore it from a backup: it says which files are missing on purpose.")
        return read_results(path, PurgeRecord)

    def was_purged(self) -> bool:
        """Tell whether anything was purged; where that can't be read, it may have been."""
        try:
            return bool(self.read_purges())
        except StoreError:
            return True

    def record_purge(self, entry: PurgeRecord, replaced: str = "") -> None:
        """Put on record what is about to be purged; ``replaced`` is what the same purge was called when it began."""
        same = (entry.digest, replaced)
        earlier = self.read_purges()
        # The same purge once more finishes one that was cut short.
        names = {name for purge in (entry, *earlier) if purge.digest in same for name in purge.files}
        others = [purge for purge in earlier if purge.digest not in same]
        renewed = entry.model_copy(update={"files": sorted(names)})
        write_results(artifacts.PURGES.at(self.folder), [*others, renewed])

    def demand_not_purged(self) -> None:
        """Raise `StoreError` where samples were purged: nothing can be trained or unlearned with it any more."""
        if purges := self.read_purges():
            raise StoreError(
                f"{self.audit} was purged of {sum(purge.samples for purge in purges):,} samples on "
                f"{purges[-1].date}: models that had seen them are gone",
                hint="Take the samples out of the data and audit that: privaudit score … makes a new audit.",
            )

    def read_description(self) -> AuditDescription:
        """``audit.json``, checked against its seal."""
        files.demand_whole(self.description, REMEDY)
        found = read_result(self.description, StoreFormat).format
        if found != FORMAT:
            newer = isinstance(found, int) and found > FORMAT
            raise StoreError(
                f"{self.folder} has format {found}, this version of privaudit reads {FORMAT}: a "
                f"{'newer' if newer else 'different'} one wrote it",
                hint=("Update privaudit, or audit" if newer else "Audit") + " again into another folder: --store DIR.",
            )
        return read_result(self.description, AuditDescription)

    def read_design(self) -> npt.NDArray[np.bool_]:
        """``design.npy``, checked against its seal."""
        files.demand_whole(self.design, REMEDY)
        return files.read_array(self.design)

    def read_members(self, *, unsealed: bool = False) -> dict[str, npt.NDArray[np.bool_]]:
        """By shadow model, which samples it saw, bool ``[N]``; ``unsealed`` reads a design without its seal too."""
        keep = files.read_array(self.design) if unsealed else self.read_design()
        return dict(zip(shadow_keys(len(keep)), keep, strict=True))

    def read_signals(self, keys: list[str]) -> npt.NDArray[np.float32]:
        """Signals of several models, ``[S, N, Q, K]``."""
        return self._read_arrays([self.signals(key) for key in keys])

    def read_steps(self) -> npt.NDArray[np.float32]:
        """``canaries/gradients.npy``, checked against its seal."""
        files.demand_whole(self.steps_read, REMEDY)
        return files.read_array(self.steps_read)

    def read_control(self, kind: str, keys: list[str]) -> npt.NDArray[np.float32]:
        """A control's signals under several models, ``[S, M, Q, K]``."""
        return self._read_arrays([self.control(kind, key) for key in keys])

    def _read_arrays(self, paths: list[Path]) -> npt.NDArray[np.float32]:
        arrays = []
        for path in paths:
            files.demand_whole(path, REMEDY)
            arrays.append(files.read_array(path))
            if arrays[-1].shape[-1] != len(SIGNALS):
                raise StoreError(
                    f"{path} holds {arrays[-1].shape[-1]} signals, this version of privaudit knows {len(SIGNALS)}",
                    hint="Run the same privaudit score again: it asks the models anew and trains nothing.",
                )
        return np.stack(arrays)

    def holds_every_signal(self, key: str) -> bool:
        """Whether a finished model was asked for all the signals that this version knows."""
        return bool(files.read_array(self.signals(key)).shape[-1] == len(SIGNALS))

    # What is written.

    def write_description(self, description: AuditDescription) -> None:
        """Write ``audit.json``; of a whole one, only where data and code lie now and the queries are renewed.

        What an earlier version did not write yet is added, and what a later one wrote besides is kept.
        """
        state = files.inspect_seal(self.description)
        if state is files.Seal.WHOLE:
            known = self.read_description()
            # The audit is named by its identity: what is asked for now is what it was, in full.
            anew = ("identity", "signals", "data", "queries", "code")
            asked, found = description.to_json(), known.to_json()
            renewed = asked | found | {name: asked[name] for name in anew if name in asked}
            if found == renewed:
                return
            description = AuditDescription.model_validate(renewed)
        if state.is_wrong:
            talk(f"  {files.set_aside_in_words(self.description)}; it is written anew")
        write_result(self.description, description.model_copy(update={"format": FORMAT}))

    def write_design(self, keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Write the design, or extend the one on disk; return the longer of the two."""
        state = files.inspect_seal(self.design)
        if state.is_wrong:
            talk(f"  {files.set_aside_in_words(self.design)}; it is written anew")
        if state is files.Seal.WHOLE:
            known = files.read_array(self.design)
            shared = min(len(known), len(keep))
            if known.shape[1:] != keep.shape[1:] or not np.array_equal(known[:shared], keep[:shared]):
                raise StoreError(
                    f"{self.design} does not belong to this audit", hint="Set the folder aside and audit again."
                )
            if len(known) >= len(keep):
                return known
        files.write_array(self.design, keep)
        files.seal(self.design)
        return keep

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this audit for one process; the lock goes with the process, however it ends."""
        files.claim(self.folder)
        with locks.hold(self.folder / artifacts.LOCK, self.audit):
            locks.remove_unfinished_writes(self.folder)
            yield

    def mark_latest(self) -> None:
        """Make this the audit that commands take when none is named."""
        locks.remove_unfinished_writes(self.root, deep=False)
        files.write_text(self.root / LATEST, self.audit + "\n")


def audits_in(root: Path) -> list[str]:
    """Names of the audits in a store, sorted."""
    return sorted(path.parent.name for path in root.glob(f"*/{artifacts.DESCRIPTION.path}")) if root.is_dir() else []


def latest_audit(root: Path) -> str | None:
    """What is on record as the store's latest audit; whether it is there is another question."""
    pointer = root / LATEST
    return pointer.read_text("utf-8", errors="replace").strip() if pointer.is_file() else None


def open_audit(root: Path, audit: str | None) -> AuditStore:
    """The named audit of a store, or its latest; `UsageError` says which there are."""
    known = audits_in(root)
    if audit is None:
        audit = latest_audit(root)
        if audit is None or audit not in known:
            if len(known) != 1:
                raise UsageError(
                    f"there is no latest audit in {root.absolute()}",
                    hint=f"Name the audit, one of: {', '.join(known)}."
                    if known
                    else "Make one: privaudit score --dataset digits",
                )
            audit = known[0]
    elif audit not in known:
        raise UsageError(
            f"no audit '{audit}' in {root.absolute()}",
            hint=f"There are: {', '.join(known) or 'none'}. Make one: privaudit score --dataset digits",
        )
    return AuditStore(root, audit)
