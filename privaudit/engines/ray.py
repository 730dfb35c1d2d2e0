"""Jobs on a Ray cluster: one task each, which runs again elsewhere where a worker or its node is lost.

The nodes share the file systems of the store and of the output: a task writes its results there, as a process on this
machine would, and each task first looks for a file that this process laid there. What travels through Ray is each job
(names, rows, settings), what jobs share (the data) once a node, what jobs say, and how far they are.
"""

from __future__ import annotations

import io
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from privaudit.config import available_cores
from privaudit.engines.base import POLL_SECONDS, JobFunction, Meter
from privaudit.errors import PrivauditError, UsageError
from privaudit.runtime import files
from privaudit.runtime.progress import Progress, talk
from privaudit.runtime.scratch import lasting_folder
from privaudit.runtime.user_code import kept_alive
from privaudit.runtime.version import version_of

#: How often a task whose worker or node was lost is run again.
RETRIES = 10

#: What must be the same everywhere for the same weights.
VERSIONS = ("privaudit", "torch", "numpy")

ADDRESS_VARIABLE = "RAY_ADDRESS"

#: Seconds until a cluster that does not answer counts as absent.
LONGEST_CONNECT = 10.0


@dataclass(frozen=True)
class RayEngine:
    """Tasks on a Ray cluster.

    Parameters
    ----------
    address
        ``host:port`` of the cluster; None for that in ``RAY_ADDRESS``, or else for a Ray of this machine's own.
    workers
        The most tasks at a time; None for as many as the cluster has room for.
    gpu_share
        The part of a GPU that each task takes; 0 for a core instead.
    folders
        Of the store and the output, which every node must see.
    """

    address: str | None
    workers: int | None
    gpu_share: float
    folders: tuple[Path, ...]

    @property
    def width(self) -> int:
        """Tasks that the cluster has room for."""
        offered = connect(self.address, self.workers).cluster_resources()
        room = int(offered.get("GPU", 0.0) / self.gpu_share if self.gpu_share else offered.get("CPU", 0.0))
        if room < 1:
            wanted = f"{self.gpu_share:g} of a GPU" if self.gpu_share else "a core"
            raise UsageError(
                f"no node of the Ray cluster offers {wanted}", hint="ray status shows what there is; or --device cpu."
            )
        return min(room, self.workers or room)

    def run(self, function: JobFunction, jobs: Sequence[Any], shared: Any, progress: Progress) -> None:
        """See `privaudit.engines.base.Engine.run`."""
        ray = connect(self.address, self.workers)
        try:
            with _tokens(self.folders) as tokens:
                _Run(ray, self, _Common(function, shared, tokens), len(jobs), progress).all(jobs)
        except BaseException as error:
            # Ray ends the tasks of a process that leaves; whoever runs this again finds nobody at work.
            ray.shutdown()
            if isinstance(error, ray.exceptions.RayTaskError):
                raise error.cause from error
            if isinstance(error, ray.exceptions.RayError):
                raise PrivauditError(
                    f"the Ray cluster could not finish a job: {str(error).splitlines()[0]}",
                    hint="Run the same command again: finished models are kept. ray status shows the cluster's health.",
                ) from error
            raise


def connect(address: str | None, workers: int | None) -> Any:
    """The module ``ray``, connected to the cluster; a second time nothing happens."""
    address = address or os.environ.get(ADDRESS_VARIABLE) or None
    # Ray reads its environment when it is imported.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address is None and "ray" not in sys.modules:
        # Nobody else is to reach a Ray that only this process asked for.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Ray takes a loopback address for "find one that others can reach", and listens on every address then; this
        # switch of its, named after the systems where it is off, makes it keep to the loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    # Ray makes its folder writable for everyone: it lies within one of ours. Made before Ray is imported, that goes
    # after Ray has ended.
    folder = _own_folder() if address is None else Path()
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "--engine ray needs Ray, which is not installed", hint="pip install 'privaudit[ray]'"
        ) from error
    if ray.is_initialized():
        return ray
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        options |= {"address": "local", "num_cpus": workers or available_cores(), "include_dashboard": False}
        options |= {"_node_ip_address": "127.0.0.1", "_temp_dir": str(folder / "r")}
    elif address.startswith("ray://"):
        raise UsageError(
            f"--address {address}: Ray Client is not supported",
            hint="Run privaudit on a node of the cluster, with --address HOST:PORT as ray start printed it.",
        )
    else:
        _demand_listener(address)
        options["address"] = address
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
    except Exception as error:
        raise PrivauditError(
            f"cannot reach a Ray cluster at {address}: {str(error).splitlines()[0]}"
            if address
            else f"cannot start Ray on this machine: {str(error).splitlines()[0]}",
            hint="ray start --head begins a cluster and prints its address; --engine local needs none.",
        ) from error
    finally:
        # Ray takes SIGTERM for itself; a command has an answer of its own.
        if terminate is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, terminate)
    return ray


@cache
def _own_folder() -> Path:
    """Where this process's own Ray keeps sockets, logs and what does not fit into memory."""
    return lasting_folder()


def _demand_listener(address: str) -> None:
    """Raise where nobody listens: Ray itself would try for many minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return  # "auto" and other names that Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=LONGEST_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise PrivauditError(
            f"nobody listens at --address {address}: {error}",
            hint="ray start --head begins a cluster and prints its address; --engine local needs none.",
        ) from error


@dataclass(frozen=True)
class _Common:
    """What all tasks have in common, as every node gets it once."""

    function: JobFunction
    shared: Any
    tokens: tuple[Path, ...]
    folder: str = ""
    versions: tuple[str, ...] = ()

    def of_this_process(self) -> _Common:
        """The same, with where this process is and what it runs."""
        return _Common(self.function, self.shared, self.tokens, str(Path.cwd()), _versions())

    def check(self) -> None:
        """Raise `PrivauditError` on a node that can't do this process's work."""
        # Relative paths, and modules beside the data, are found as they are at home.
        with suppress(OSError):
            os.chdir(self.folder)
        if self.folder not in sys.path:
            sys.path.append(self.folder)
        node = socket.gethostname()
        for token in self.tokens:
            if not token.is_file():
                raise PrivauditError(
                    f"node {node} of the Ray cluster does not see {token.parent}",
                    hint="All nodes must share the file system of --store and --out, under the same path.",
                )
        for name, here, there in zip(VERSIONS, _versions(), self.versions, strict=True):
            if here != there:
                raise PrivauditError(
                    f"node {node} of the Ray cluster has {name} {here}, where this process has {there}",
                    hint="Install the same versions on every node: other versions train other weights.",
                )


def _versions() -> tuple[str, ...]:
    return tuple(version_of(name) for name in VERSIONS)


@contextmanager
def _tokens(folders: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """Lay an empty file into each folder, for every node to look for."""
    name = f".privaudit-{secrets.token_hex(8)}"
    tokens = tuple(folder.absolute() / name for folder in folders)
    try:
        for token in tokens:
            files.write_bytes(token, b"")
        yield tokens
    finally:
        for token in tokens:
            token.unlink(missing_ok=True)


class _Run:
    """Jobs of one call on their way."""

    def __init__(self, ray: Any, engine: RayEngine, common: _Common, jobs: int, progress: Progress) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray, self._most = ray, engine.workers or jobs
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._board = ray.remote(_Board).options(num_cpus=0, scheduling_strategy=here).remote(jobs)
        self._common = ray.put(common.of_this_process())
        share: dict[str, float] = {"num_cpus": 1, "num_gpus": engine.gpu_share}
        self._task = ray.remote(_run).options(**share, max_retries=RETRIES, name=common.function.__name__)
        self._meter, self._restarts = Meter(progress), 0

    def all(self, jobs: Sequence[Any]) -> None:
        """Start every job in turn, and wait for the last."""
        queue = iter(enumerate(jobs))
        started: list[Any] = []
        while True:
            while len(started) < self._most and (entry := next(queue, None)) is not None:
                started.append(self._task.remote(self._common, entry[1], entry[0], self._board))
            if not started:
                break
            ended, started = self._ray.wait(started, num_returns=1, timeout=POLL_SECONDS)
            for task in ended:
                said, error = self._ray.get(task)
                if said:
                    talk(said.rstrip("\n"))
                if error is not None:
                    raise error
            self._look()
        self._look()

    def _look(self) -> None:
        """Show how far the jobs are, and which had to start again."""
        done, restarts = self._ray.get(self._board.read.remote())
        self._meter(done)
        if restarts > self._restarts:
            talk(f"  a worker or its node was lost: {restarts - self._restarts} started again elsewhere")
            self._restarts = restarts


class _Board:
    """An actor on this process's own node that hears how far every job is."""

    def __init__(self, jobs: int) -> None:
        self._done, self._starts = [0.0] * jobs, [0] * jobs

    def begin(self, slot: int) -> None:
        """A job starts, perhaps not for the first time."""
        self._starts[slot] += 1

    def report(self, slot: int, amount: float) -> None:
        """A job has done so much."""
        self._done[slot] = amount

    def read(self) -> tuple[float, int]:
        """What is done of all jobs, and how often one had to start again."""
        return sum(self._done), sum(starts - 1 for starts in self._starts if starts)


class _Reporter:
    """Tells the board how far a job is, now and then."""

    def __init__(self, board: Any, slot: int) -> None:
        self._board, self._slot = board, slot
        self._amount, self._told = 0.0, time.monotonic()
        board.begin.remote(slot)

    def __call__(self, amount: float) -> None:
        self._amount = amount
        if time.monotonic() - self._told >= POLL_SECONDS:
            self.tell()

    def tell(self) -> None:
        """Now."""
        self._told = time.monotonic()
        self._board.report.remote(self._slot, self._amount)


def _run(common: _Common, job: Any, slot: int, board: Any) -> tuple[str, PrivauditError | None]:
    """One task; what the job said, and what the user can mend."""
    said = io.StringIO()
    reporter = _Reporter(board, slot)
    try:
        with redirect_stderr(said):
            common.check()
            with kept_alive():
                common.function(job, common.shared, reporter)
    except PrivauditError as error:
        return said.getvalue(), error
    reporter.tell()
    return said.getvalue(), None
