"""Folders for what is needed only while a command runs: readable by their owner only, and gone afterwards.

Training data passes through them. A process that was killed cannot clear up, so each folder is locked for as long as
its process lives: whoever makes the next one removes those that nobody holds.
"""

from __future__ import annotations

import atexit
import fcntl
import glob
import os
import platform
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: With the machine's name: another one that shares the disk may not see our locks.
PREFIX = f".privaudit-scratch-{platform.node()}-"

#: Of folders in which others' sockets lie, whose paths have at most 107 bytes.
SHORT_PREFIX = f".privaudit-{zlib.crc32(platform.node().encode()) & 0xFFFF:04x}-"

#: Linux's disk in memory, and the bytes that must be free there before it is preferred.
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it are made by mkdtemp
ROOM = 2 << 30

#: A disk with fewer bytes than this is full: a page.
LEAST = 4096

#: The folders of this process.
_held: set[Path] = set()


@contextmanager
def scratch_folder(*, in_memory: bool = False) -> Iterator[Path]:
    """Make a folder that lasts as long as the context.

    Parameters
    ----------
    in_memory
        On the disk in memory where there is one with room, unless the user names a folder for such files (TMPDIR).
    """
    remove_abandoned()
    folder, lock = _make(_in_memory() if in_memory else Path(tempfile.gettempdir()))
    _held.add(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _held.discard(folder)
        os.close(lock)


def lasting_folder() -> Path:
    """Make a folder that lasts as long as this process, with a short name, and gone after what it registered so far."""
    remove_abandoned()
    # The lock is held until the process ends.
    folder, _ = _make(Path(tempfile.gettempdir()), SHORT_PREFIX)
    _held.add(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def remove_own() -> None:
    """Remove this process's folders at once: for those who leave it without unwinding."""
    for folder in list(_held):
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> None:
    """Remove the user's folders whose process is gone."""
    for root in {SHARED_MEMORY, Path(tempfile.gettempdir())}:
        for prefix in (PREFIX, SHORT_PREFIX):
            for folder in root.glob(f"{glob.escape(prefix)}*"):
                with suppress(OSError):
                    _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(lock).st_uid == os.getuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def has_no_room(folder: Path) -> bool:
    """Whether nothing more can be written below a folder, for want of space or of files."""
    with suppress(OSError):
        disk = os.statvfs(folder)
        return disk.f_bavail * disk.f_frsize < LEAST or (disk.f_files > 0 and disk.f_favail == 0)
    return False


def _in_memory() -> Path:
    with suppress(OSError):
        disk = os.statvfs(SHARED_MEMORY)
        if not os.environ.get("TMPDIR") and disk.f_bavail * disk.f_frsize >= ROOM and os.access(SHARED_MEMORY, os.W_OK):
            return SHARED_MEMORY
    return Path(tempfile.gettempdir())


def _make(root: Path, prefix: str = PREFIX) -> tuple[Path, int]:
    """A new folder and what holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # A file system without locks: nobody else on this machine can take one either.
                fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)
        # Taken for an abandoned one before it was locked: another try.
