"""How much memory this process may still take: asked before something large is read."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
#: Limits and uses of a control group, in its second and first versions.
GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


def available_memory() -> int | None:
    """Return the bytes that can still be taken, or None where the system does not tell.

    The least of what the machine has, what the control group leaves (files that it caches count as free), and what
    the limit of the address space leaves.
    """
    left = [value for value in (_of_machine(), *map(_of_group, GROUPS), _of_address_space()) if value is not None]
    return min(left) if left else None


def _of_machine() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in MEMINFO.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _of_group(files: tuple[str, str, str]) -> int | None:
    with suppress(OSError, ValueError):
        limit, used = (int(Path(file).read_text("ascii")) for file in files[:2])
        cached = sum(
            int(line.split()[1])
            for line in Path(files[2]).read_text("ascii").splitlines()
            if line.split()[0] in ("inactive_file", "total_inactive_file")
        )
        return max(0, limit - used + cached)
    return None


def _of_address_space() -> int | None:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    with suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        return max(0, limit - pages * resource.getpagesize())
    return None
