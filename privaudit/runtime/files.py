"""Files that are whole or absent, readable by their owner only, each with its SHA-256 on record.

A file is written to a temporary name, flushed to disk, then renamed. Where it is *sealed*, its checksum follows in
``<name>.sha256`` (the format of ``sha256sum --check``): a file without a matching seal never counts as finished. Below
a claimed folder (`claim`) the seal also names the file's place, from that folder on: a sealed file that was copied
elsewhere, or swapped with another, is not taken for what should lie there. Below a claimed folder no link is followed
for writing or deleting (`privaudit.runtime.links`).
"""

from __future__ import annotations

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
from privaudit.runtime.links import MARK, demand_file, demand_no_link, kind_of, open_file
from privaudit.runtime.locks import make_unfinished, remove_unfinished_writes, unfinished_prefix, way_out
from privaudit.runtime.seals import Record, read_record
from privaudit.runtime.seals import seal_of as seal_of


class Seal(Enum):
    """What a file's checksum says of it."""

    WHOLE = "whole"
    ABSENT = "absent"
    UNFINISHED = "unfinished"
    DAMAGED = "damaged"
    MISPLACED = "not what was sealed for this place"

    @property
    def is_wrong(self) -> bool:
        """Whether what is there must not be used, and is to be set aside."""
        return self in (Seal.DAMAGED, Seal.MISPLACED)


def make_private_folder(folder: Path) -> Path:
    """Create ``folder`` (and its parents) for its owner only; an existing one is left as it is."""
    demand_no_link(folder)
    try:
        # mkdir's own parents=True would give the parents the usual mode, readable by everyone.
        for level in [*reversed(folder.parents), folder]:
            if not level.is_dir():
                level.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot create the folder {folder}: {error.strerror}", hint=way_out(error)) from error
    return folder


def claim(folder: Path) -> None:
    """Make ``folder`` privaudit's own: seals name places from it on, and no link below it is followed.

    Raises
    ------
    StoreError
        Where it is a link itself, or can't be written to.
    """
    make_private_folder(folder)
    if folder.is_symlink():
        raise StoreError(
            f"{folder} is a link: nothing is written or deleted through it",
            hint="Put the folder itself there, or name the one above it with --store or --out.",
        )
    mark = folder / MARK
    if mark.is_symlink() or mark.exists():
        demand_file(mark)
        return
    try:
        with suppress(FileExistsError):
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}", hint=way_out(error)) from error


def demand_writable(folder: Path) -> None:
    """Make ``folder`` and raise `StoreError` where nothing can be written to it: better now than after hours.

    What killed writers left there goes.
    """
    make_private_folder(folder)
    remove_unfinished_writes(folder)
    try:
        with tempfile.NamedTemporaryFile(prefix=unfinished_prefix("probe"), suffix=".part", dir=folder):
            pass
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}", hint=way_out(error)) from error


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a binary stream whose content becomes ``path`` on success, and vanishes on failure."""
    make_private_folder(path.parent)
    demand_file(path)
    demand_file(seal_of(path))
    temporary: str | None = None
    try:
        descriptor, temporary = make_unfinished(path)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        # What is about to be replaced is finished no longer: its seal goes first.
        seal_of(path).unlink(missing_ok=True)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}", hint=way_out(error)) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


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
        with open_file(path) as stream:
            content = stream.read().decode("utf-8")
        return json.loads(content, object_hook=lambda found: StoredObject(found, path))
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}", hint="Run the command that made it again.") from error


def read_array(path: Path) -> npt.NDArray[Any]:
    """Read a ``.npy`` file without ever unpickling."""
    try:
        with open_file(path) as stream:
            array: npt.NDArray[Any] = np.load(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"cannot read {path}: {error}", hint="Run the command that made it again.") from error
    return array


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file, in hexadecimal."""
    with open_file(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def seal(path: Path) -> None:
    """Put the checksum of ``path`` and its place on record: from now on it counts as finished."""
    write_text(seal_of(path), Record.of(path, sha256_of(path)).to_text())


def is_whole(path: Path) -> bool:
    """Whether ``path`` is finished and undamaged."""
    return inspect_seal(path) is Seal.WHOLE


def demand_whole(path: Path, remedy: str) -> None:
    """Raise `StoreError`, which names the file, unless it is finished and undamaged."""
    state = inspect_seal(path)
    if state is Seal.MISPLACED:
        raise StoreError(
            f"{path} is {state.value}: it was sealed as {sealed_as(path)}",
            hint=f"Was a folder renamed? Give it its old name back. Was the file put there from elsewhere? {remedy}",
        )
    if state is not Seal.WHOLE:
        raise StoreError(f"{path} is {state.value}", hint=remedy)


def sealed_as(path: Path) -> str | None:
    """Return the place, or else the name, that ``path`` was sealed for; None where it has no legible seal."""
    found = read_record(path)
    return None if found is None else found.place or found.name


def is_bound(path: Path) -> bool:
    """Whether the seal of ``path`` names its place; those of earlier versions do not."""
    found = read_record(path)
    return found is not None and found.place is not None


def bind(path: Path) -> None:
    """Seal ``path`` anew where an earlier version sealed it without its place; what is not whole is left."""
    if read_record(path) is not None and not is_bound(path) and is_whole(path):
        seal(path)


def inspect_seal(path: Path) -> Seal:
    """Tell whether ``path`` is finished, what was written is what is there, and it was written for this place."""
    record = seal_of(path)
    if not path.exists():
        # A seal without its file means that a finished file was lost.
        return Seal.DAMAGED if record.exists() else Seal.ABSENT
    if not record.exists():
        return Seal.UNFINISHED
    found = read_record(path)
    if found is None or kind_of(path) is not None or found.digest != sha256_of(path):
        return Seal.DAMAGED
    return Seal.WHOLE if found.belongs_to(path) else Seal.MISPLACED


def remove(path: Path) -> None:
    """Delete a file and its seal; nothing happens where they are gone.

    Raises
    ------
    StoreError
        Where the way there leads through a link, or what lies there is no file (a folder, a pipe, a device). A link
        in the file's own place goes, and what it leads to stays.
    """
    demand_no_link(path.parent)
    for part in (seal_of(path), path):
        demand_file(part)
        part.unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Delete a working folder: its files, not what lies deeper or is no file, and then itself if it is empty."""
    demand_no_link(folder)
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if kind_of(path) is None or path.is_symlink():
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def set_aside_in_words(path: Path) -> str:
    """Move a damaged file out of the way, or find it gone, and say so."""
    state, was = inspect_seal(path), sealed_as(path)
    aside = set_aside(path)
    if aside is None:
        return f"lost: {path}"
    return f"damaged: {aside} " + (f"(it was sealed as {was})" if state is Seal.MISPLACED else "(its checksum differs)")


def set_aside(path: Path) -> Path | None:
    """Move a damaged file out of the way, keeping it; return where it went, or None where it was gone."""
    demand_no_link(path.parent)
    for part in (path, seal_of(path)):
        demand_file(part)
    seal_of(path).unlink(missing_ok=True)
    if not path.exists():
        return None
    number = 0
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    return aside
