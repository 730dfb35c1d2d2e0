"""Who is at work: the lock of a folder, and files that are being written, each locked for as long as its writer lives.

The locks are the kernel's (`flock`), which go with the process, however it ends. filelock does the same, but names no
holder, and its earlier releases empty the file that they lock, and with it what a hard link leads to.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from privaudit.errors import StoreError
from privaudit.runtime.links import demand_file

#: What a write that is under way is called: nobody else's file is.
_UNFINISHED = re.compile(r"\..*\.privaudit-\d+-[a-z0-9_]{8}\.part", re.DOTALL)

#: What an operating system says where a disk, or a user's share of it, is full.
_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk is full."""
    return isinstance(error, OSError) and error.errno in _FULL


def way_out(error: OSError) -> str:
    """What to do where a folder can't be written to."""
    if is_full(error):
        return "Make room there, then run the same command again: what was finished is kept."
    return "Make it writable, or choose another folder with --store or --out; what was finished is kept."


def open_lock(path: Path) -> int:
    """Open a file to lock it, made where it is absent; return the descriptor.

    Raises
    ------
    StoreError
        Where a link, or no file, lies in its place: what is written would go elsewhere.
    """
    demand_file(path)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StoreError(f"{path} is a link: nothing is written through it", hint="Remove the link.") from error
        raise StoreError(f"cannot write to {path.parent}: {error.strerror}", hint=way_out(error)) from error
    return descriptor


@contextmanager
def hold(path: Path, held: str) -> Iterator[None]:
    """Hold a lock for one process.

    Parameters
    ----------
    path
        Its file, made where it is absent; it names the process to whoever comes second.
    held
        What is held, for people.

    Raises
    ------
    StoreError
        Where another process holds it.
    """
    handle = open_lock(path)
    # Of a lock that is another file too, by a second hard link, nothing is read or written.
    own = os.fstat(handle).st_nlink == 1
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip() if own else ""
        os.close(handle)
        raise StoreError(
            f"another privaudit is at work on {held}" + (f": {holder}" if holder else ""),
            hint="Wait for it to end, then run this again: what it finished is not made twice.",
        ) from error
    try:
        # For whoever comes second. That the disk is full will be told by what matters more.
        with suppress(OSError):
            if own:
                os.truncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def make_unfinished(path: Path) -> tuple[int, str]:
    """A new file beside ``path``, locked for as long as it is open: who finds it knows that it is being written."""
    while True:
        # mkstemp creates the file with mode 0600: owner only, from the first byte.
        descriptor, temporary = tempfile.mkstemp(prefix=unfinished_prefix(path.name), suffix=".part", dir=path.parent)
        with suppress(OSError):  # A file system without locks.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, temporary
        os.close(descriptor)  # Taken for a leftover before it was locked.


def unfinished_prefix(name: str) -> str:
    """How the temporary name of a write begins; cut, since a name has at most 255 bytes."""
    return f".{os.fsdecode(os.fsencode(name)[:100])}.privaudit-{os.getpid()}-"


def is_unfinished(name: str) -> bool:
    """Whether a file of this name is a write of ours that is under way, or was when its process was killed."""
    return _UNFINISHED.fullmatch(name) is not None


def remove_unfinished_writes(folder: Path, *, deep: bool = True) -> None:
    """Delete what killed writers left in ``folder`` and, unless told otherwise, below it; not what is being written.

    No link is followed, and nothing goes but files that this module named.
    """
    for place, folders, names in os.walk(folder):
        for name in filter(is_unfinished, names):
            with suppress(OSError):
                _remove_unless_held(Path(place, name))
        if not deep:
            folders.clear()


def _remove_unless_held(leftover: Path) -> None:
    descriptor = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
