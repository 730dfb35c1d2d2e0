"""Files that are whole or absent, readable by their owner only, each with its SHA-256 on record.

A file is written to a temporary name, flushed to disk, then renamed. Where it is *sealed*, its checksum follows in
``<name>.sha256`` (the format of ``sha256sum --check``): a file without a matching seal never counts as finished.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from privaudit.errors import StoreError

SEAL_SUFFIX = ".sha256"

#: What an operating system says where a disk, or a user's share of it, is full.
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Seal(Enum):
    """What a file's checksum says of it."""

    WHOLE = "whole"
    ABSENT = "absent"
    UNFINISHED = "unfinished"
    DAMAGED = "damaged"


def make_private_folder(folder: Path) -> Path:
    """Create ``folder`` (and its parents) for its owner only; an existing one is left as it is."""
    try:
        # mkdir's own parents=True would give the parents the usual mode, readable by everyone.
        for level in [*reversed(folder.parents), folder]:
            if not level.is_dir():
                level.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot create the folder {folder}: {error.strerror}", hint=_way_out(error)) from error
    return folder


def demand_writable(folder: Path) -> None:
    """Make ``folder`` and raise `StoreError` where nothing can be written to it: better now than after hours.

    What killed writers left there goes.
    """
    make_private_folder(folder)
    remove_unfinished_writes(folder)
    try:
        with tempfile.NamedTemporaryFile(prefix=".probe.", suffix=".part", dir=folder):
            pass
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}", hint=_way_out(error)) from error


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk is full."""
    return isinstance(error, OSError) and error.errno in _FULL


def _way_out(error: OSError) -> str:
    if is_full(error):
        return "Make room there, then run the same command again: what was finished is kept."
    return "Make it writable, or choose another folder with --store or --out; what was finished is kept."


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a binary stream whose content becomes ``path`` on success, and vanishes on failure."""
    make_private_folder(path.parent)
    temporary: str | None = None
    try:
        descriptor, temporary = _make_unfinished(path)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        # What is about to be replaced is finished no longer: its seal goes first.
        seal_of(path).unlink(missing_ok=True)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}", hint=_way_out(error)) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _make_unfinished(path: Path) -> tuple[int, str]:
    """A new file beside ``path``, locked for as long as it is open: who finds it knows that it is being written."""
    while True:
        # mkstemp creates the file with mode 0600: owner only, from the first byte.
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with suppress(OSError):  # A file system without locks.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, temporary
        os.close(descriptor)  # Taken for a leftover before it was locked.


def remove_unfinished_writes(folder: Path, *, deep: bool = True) -> None:
    """Delete what killed writers left in ``folder`` and, unless told otherwise, below it; not what is being written."""
    for leftover in folder.rglob(".*.part") if deep else folder.glob(".*.part"):
        with suppress(OSError), leftover.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, wholly or not at all."""
    with atomic_write(path) as stream:
        stream.write(content)


def write_text(path: Path, content: str) -> None:
    """Write ``content`` as UTF-8, wholly or not at all."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as JSON (no NaN, no infinity), wholly or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write ``array`` as ``.npy``, wholly or not at all."""
    with atomic_write(path) as stream:
        np.save(stream, array, allow_pickle=False)


class StoredObject(dict[str, Any]):
    """An object of a JSON file; asked for what it lacks it raises `StoreError`: another version wrote it."""

    def __init__(self, content: dict[str, Any], path: Path | None = None) -> None:
        super().__init__(content)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise StoreError(
            f"{self.path} lacks '{key}': it was written by another version of privaudit",
            hint="Move it out of the way and run the command that made it again: what else is there is not made twice.",
        )


def read_json(path: Path) -> Any:
    """Read a JSON file, its objects as `StoredObject`; `StoreError` names it where it can't be read."""
    try:
        return json.loads(path.read_text("utf-8"), object_hook=lambda content: StoredObject(content, path))
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}", hint="Run the command that made it again.") from error


def read_array(path: Path) -> npt.NDArray[Any]:
    """Read a ``.npy`` file without ever unpickling."""
    try:
        array: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"cannot read {path}: {error}", hint="Run the command that made it again.") from error
    return array


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seal_of(path: Path) -> Path:
    """Where the checksum of ``path`` is kept."""
    return path.with_name(path.name + SEAL_SUFFIX)


def seal(path: Path) -> None:
    """Put the checksum of ``path`` on record: from now on it counts as finished."""
    write_text(seal_of(path), f"{sha256_of(path)}  {path.name}\n")


def is_whole(path: Path) -> bool:
    """Whether ``path`` is finished and undamaged."""
    return inspect_seal(path) is Seal.WHOLE


def demand_whole(path: Path, remedy: str) -> None:
    """Raise `StoreError`, which names the file, unless it is finished and undamaged."""
    state = inspect_seal(path)
    if state is not Seal.WHOLE:
        raise StoreError(f"{path} is {state.value}", hint=remedy)


def inspect_seal(path: Path) -> Seal:
    """Tell whether ``path`` is finished and what was written is what is there."""
    record = seal_of(path)
    if not path.exists():
        # A seal without its file means that a finished file was lost.
        return Seal.DAMAGED if record.exists() else Seal.ABSENT
    if not record.exists():
        return Seal.UNFINISHED
    recorded = record.read_bytes().split(b" ", 1)[0]
    return Seal.WHOLE if recorded == sha256_of(path).encode() else Seal.DAMAGED


def remove(path: Path) -> None:
    """Delete a file and its seal; nothing happens where they are gone."""
    seal_of(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def set_aside_in_words(path: Path) -> str:
    """Move a damaged file out of the way, or find it gone, and say so."""
    aside = set_aside(path)
    return f"lost: {path}" if aside is None else f"damaged: {aside} (its checksum differs)"


def set_aside(path: Path) -> Path | None:
    """Move a damaged file out of the way, keeping it; return where it went, or None where it was gone."""
    seal_of(path).unlink(missing_ok=True)
    if not path.exists():
        return None
    number = 0
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    return aside
