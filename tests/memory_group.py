"""A control group of the kernel's with little memory: who asks for more in it is killed by the kernel."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: Where Linux's memory controller is, by version of control groups: its folder, its files of the limit, of the limit
#: with swap (the first version's) or of swap alone (the second's), and of the kills.
CONTROLLERS = (
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control"),
    ("/sys/fs/cgroup", "memory.max", "memory.swap.max", "memory.events"),
)


class MemoryGroup:
    """Processes that share a limit.

    Parameters
    ----------
    folder
        The group's own.
    kills
        The file in which the kernel counts whom it killed.
    """

    def __init__(self, folder: Path, kills: str) -> None:
        self._folder, self._kills = folder, folder / kills

    @property
    def join(self) -> Callable[[], None]:
        """For `subprocess`: the child and all of its children are members."""
        members = self._folder / "cgroup.procs"

        def join() -> None:
            members.write_text(str(os.getpid()))

        return join

    def kills(self) -> int:
        """How many processes the kernel killed for want of memory."""
        counts = dict(line.split() for line in self._kills.read_text().splitlines())
        return int(counts["oom_kill"])


@contextmanager
def memory_group(megabytes: int) -> Iterator[MemoryGroup]:
    """A group with that limit; the test is skipped where this machine lets us make none."""
    for root, limit, swap, kills in CONTROLLERS:
        folder = Path(root) / f"privaudit-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            if (folder / limit).exists():
                (folder / limit).write_text(str(megabytes << 20))
                if (folder / swap).exists():
                    (folder / swap).write_text("0" if swap == "memory.swap.max" else str(megabytes << 20))
                yield MemoryGroup(folder, kills)
                return
        finally:
            _remove(folder)
    pytest.skip("no control group of memory can be made here (it takes root, and Linux)")


def _remove(folder: Path) -> None:
    """A group can be removed once its last process is gone."""
    deadline = time.monotonic() + 10
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
