"""Links, pipes and devices in the place of files: none is followed or opened where privaudit writes or deletes.

The folder that the user names with ``--store`` or ``--out`` may be a link. Below it each audit's own folder is marked
(`MARK`), and from there on every folder must be a folder and every file a file. These are looks before acts: they keep
what lies there from leading elsewhere, not somebody who may write to the folder and changes it in the same moment.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from privaudit.errors import StoreError

#: An empty file in each folder of the store or the output that is privaudit's own.
MARK = ".privaudit"

#: The most folders between a file and the marked one: ``unlearn/RUN/stages``, and one to spare.
_DEEPEST = 5

FOLDER = "a folder"

_MOVE_IT = "Move it away, then run the same command again."


def kind_of(path: Path) -> str | None:
    """Return what lies at ``path``, links followed, in words; None for a regular file and for nothing."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return FOLDER
    if stat.S_ISFIFO(mode):
        return "a pipe (FIFO)"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def demand_file(path: Path) -> None:
    """Raise `StoreError` where something else than a file, a link to a file or a folder, or nothing lies at ``path``.

    A link to a pipe or a device (``/dev/stdout``) is what somebody needs, and no place for a file.
    """
    kind = kind_of(path)
    if kind is not None and not (kind == FOLDER and path.is_symlink()):
        raise StoreError(f"{path} is {kind}, where a file belongs: it is left as it is", hint=_MOVE_IT)


def claimed_folder(path: Path) -> Path | None:
    """Return the marked folder that ``path`` lies in, absolute, links not followed; None where there is none."""
    for folder in list(absolute(path).parents)[:_DEEPEST]:
        if _is_marked(folder):
            return folder
    return None


def demand_no_link(folder: Path) -> None:
    """Raise `StoreError` where ``folder`` or one above it, up to the marked one, is a link."""
    given = absolute(folder)
    linked: Path | None = None
    for level in [given, *given.parents][:_DEEPEST]:
        if level.is_symlink():
            linked = level
        if _is_marked(level):
            if linked is not None:
                raise StoreError(
                    f"{linked} is a link: nothing is written or deleted through it",
                    hint="Put the folder itself there, or remove the link, then run the same command again.",
                )
            return


def absolute(path: Path) -> Path:
    """The absolute path without ``..``, links not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links


def _is_marked(folder: Path) -> bool:
    mark = folder / MARK
    return mark.is_file() and not mark.is_symlink()


def open_file(path: Path) -> BufferedReader:
    """Open a regular file for reading; a pipe or a device is an `OSError` at once, where opening it would wait."""
    if (kind := kind_of(path)) is not None:
        raise OSError(errno.EINVAL, f"it is {kind}")
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def list_files(folder: Path) -> list[Path]:
    """Return every regular file in ``folder`` and below, sorted; no link is followed."""
    return sorted(path for path in _walk(folder) if not path.is_symlink() and kind_of(path) is None)


def list_strange(folder: Path) -> list[Path]:
    """Return what lies in ``folder`` and below that privaudit never makes: links, pipes, sockets, devices; sorted."""
    return sorted(path for path in _walk(folder) if path.is_symlink() or kind_of(path) is not None)


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        yield from (Path(place, name) for name in names)
        # os.walk does not go into linked folders, but counts them among the folders.
        yield from (Path(place, name) for name in folders if Path(place, name).is_symlink())
