"""Jobs on this machine: one process a core with one thread each, or this process where one worker is enough."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from privaudit.errors import PrivauditError
from privaudit.progress import Progress

POLL_SECONDS = 1.0

#: Tells how many units of its work a job has done so far.
Report = Callable[[float], None]


def run_jobs(
    function: Callable[[Any, Any, Report], Any],
    jobs: Sequence[Any],
    shared: Any,
    workers: int,
    progress: Progress,
) -> None:
    """Call ``function(job, shared, report)`` for every job, up to ``workers`` at a time.

    Results go through files, not through here: a job that returns has put its work in the store.

    Parameters
    ----------
    function
        A module-level function.
    jobs
        Independent of each other, in the order in which they should start.
    shared
        Sent to every worker once; large arrays in it are memory-mapped, not copied.
    workers
        Processes; with 1 the jobs run in this process.
    progress
        Advanced by what jobs report, in their own units.
    """
    if not jobs:
        return
    if workers == 1 or len(jobs) == 1:
        for job in jobs:
            function(job, shared, _Meter(progress))
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    with tempfile.TemporaryDirectory(prefix="privaudit-") as folder:
        board = _Board(folder, len(jobs))
        pool = Parallel(n_jobs=min(workers, len(jobs)), return_as="generator_unordered", batch_size=1)
        try:
            with _watch(board, progress):
                arguments = (shared, board.path, os.getpid())
                for _ in pool(delayed(_run)(function, job, slot, *arguments) for slot, job in enumerate(jobs)):
                    pass
        except TerminatedWorkerError as error:
            raise PrivauditError(
                "a worker process was killed (often by the system, for want of memory)",
                hint="Run the same command again: finished models are kept. Fewer --workers need less memory.",
            ) from error


def _run(
    function: Callable[[Any, Any, Report], Any], job: Any, slot: int, shared: Any, board: str, parent: int
) -> None:
    done = np.memmap(board, np.float64, "r+")

    def report(amount: float) -> None:
        if os.getppid() != parent:
            # Whoever asked for this work was killed. Another run may have taken the store over by now.
            os._exit(1)
        done[slot] = amount

    report(0.0)
    function(job, shared, report)


class _Meter:
    """Turns a job's own count into steps of the common progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._seen = 0.0

    def __call__(self, done: float) -> None:
        self._progress.advance(done - self._seen)
        self._seen = done


class _Board:
    """A few numbers in a memory-mapped file, one a job, which workers write and the parent reads."""

    def __init__(self, folder: str, jobs: int) -> None:
        self.path = str(Path(folder) / "progress")
        self.done = np.memmap(self.path, np.float64, "w+", shape=(jobs,))


@contextmanager
def _watch(board: _Board, progress: Progress) -> Iterator[None]:
    stopped = threading.Event()
    meter = _Meter(progress)

    def poll() -> None:
        while not stopped.wait(POLL_SECONDS):
            meter(float(board.done.sum()))

    watcher = threading.Thread(target=poll, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join()
        meter(float(board.done.sum()))
