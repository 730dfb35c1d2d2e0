"""Two Ray nodes on this machine, one of which can be killed, and a job that waits for that."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from privaudit.engines.base import Report
from privaudit.shadow.trainer import AuditArrays, TrainingJob, train_job

#: Tells a job that it runs on the node which is to be killed, and where it says so.
VICTIM_VARIABLE = "PRIVAUDIT_TEST_VICTIM"
LONGEST_START = 120.0


def train_unless_victim(job: TrainingJob, arrays: AuditArrays, report: Report) -> None:
    """Train; but the first job on the node that is to be killed gets stuck half-way, its files begun."""
    marker = os.environ.get(VICTIM_VARIABLE)
    if marker is not None:
        job.store.model(job.key).parent.mkdir(parents=True, exist_ok=True)
        job.store.model(job.key).write_bytes(b"half a model")
        report(1.0)
        Path(marker).write_text(job.key)
        time.sleep(600)
    train_job(job, arrays, report)


class Node:
    """One ``ray start --block`` with everything that it starts."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        # What the console script does; the script itself may lie elsewhere.
        code = "import sys; from ray.scripts.scripts import main; sys.exit(main())"
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, "start", "--block", "--num-cpus=1", "--disable-usage-stats",
                 "--object-store-memory=100000000", "--node-ip-address=127.0.0.1", "--min-worker-port=0",
                 "--max-worker-port=0", *arguments],
                env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self._log = log
        started = time.monotonic()
        while b"Ray runtime started" not in log.read_bytes():
            if self._process.poll() is not None or time.monotonic() - started > LONGEST_START:
                self.kill()
                raise RuntimeError(f"no Ray node: {log.read_text()}")
            time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL to the node's every process."""
        doomed = [self._process.pid, *descendants(self._process.pid)]
        for process in doomed:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()


def descendants(ancestor: int) -> list[int]:
    """Processes below a process."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(status.parent.name)] = int(fields[1])
    found = {ancestor}
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {ancestor})


class Cluster:
    """A head and a second node of one core each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.marker = folder / "victim"
        self.environment = {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_ADDRESS": "",
        }
        self.nodes = [
            Node(
                ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder / 'r'}"],
                self.environment,
                folder / "head.log",
            )
        ]

    def add_victim(self) -> Node:
        """A node whose jobs get stuck until it is killed."""
        environment = self.environment | {VICTIM_VARIABLE: str(self.marker)}
        self.nodes.append(Node([f"--address={self.address}"], environment, self._folder / "victim.log"))
        return self.nodes[-1]

    def jobs_at_work(self) -> list[int]:
        """Worker processes that run a task now: Ray names them by it."""
        found = []
        for process in (each for node in self.nodes for each in descendants(node._process.pid)):
            try:
                if b"ray::train_" in Path(f"/proc/{process}/cmdline").read_bytes():
                    found.append(process)
            except OSError:
                continue
        return found


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running head node; everything of it is gone afterwards."""
    # Ray's sockets lie below this folder, and their names may not be long.
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    started: Cluster | None = None
    try:
        started = Cluster(folder)
        yield started
    finally:
        for node in [] if started is None else started.nodes:
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)
