"""A disk of a few kilobytes for one test: a tmpfs in a mount namespace, which goes with the process that holds it.

Nothing of it is seen outside, so nothing is left mounted, however a test ends. As another user than root it needs user
namespaces that anybody may make, which some systems forbid.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT


class SmallDisk:
    """A mounted tmpfs; commands that should see it run through `privaudit` here."""

    def __init__(self, folder: Path, holder: int) -> None:
        self.folder = folder
        self._holder = holder

    @property
    def seen(self) -> Path:
        """The disk's content as this process can read it."""
        return Path(f"/proc/{self._holder}/root{self.folder}")

    def _inside(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self._holder), "--user", "--preserve-credentials", "--mount", "--", *command]

    def privaudit(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line where the disk is mounted, with some variables of the environment set."""
        return subprocess.run(
            self._inside(sys.executable, "-m", "privaudit", *map(str, arguments)),
            capture_output=True, text=True, cwd=ROOT, env=os.environ | environment, check=False, timeout=1200,
        )  # fmt: skip

    def _remount(self, options: str) -> None:
        subprocess.run(self._inside("mount", "-o", f"remount,{options}", str(self.folder)), check=True)

    def resize(self, kilobytes: int) -> None:
        """Make it larger or smaller, with what is on it."""
        self._remount(f"size={kilobytes}k")

    def leave(self, kilobytes: int) -> None:
        """Make it so small that only this much is free."""
        of = os.statvfs(self.seen)
        self.resize((of.f_blocks - of.f_bfree) * of.f_frsize // 1024 + kilobytes)

    def write_protect(self) -> None:
        """From now on nobody writes to it, root included."""
        self._remount("ro")


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[SmallDisk]:
    """Mount a new disk at ``folder``; skip the test, with the reason, where that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = f'mount -t tmpfs -o size={kilobytes}k,mode=700 tmpfs "$0" && echo mounted && exec cat'
    holder = subprocess.Popen(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    try:
        if holder.stdout.readline().strip() != "mounted":
            _, said = holder.communicate(timeout=30)
            pytest.skip(f"this system lets its users mount nothing: {said.strip()}")
        yield SmallDisk(folder, holder.pid)
    finally:
        holder.kill()
        holder.communicate()
