"""Jobs on this machine: one process a core with one thread each, or one or more a GPU; one worker is this process."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from privaudit.config import available_cores
from privaudit.engines.base import POLL_SECONDS, JobFunction, Meter
from privaudit.errors import PrivauditError
from privaudit.runtime.progress import Audience, Progress, audience, speaking_to
from privaudit.runtime.registry import working_folder
from privaudit.runtime.scratch import scratch_folder
from privaudit.runtime.user_code import kept_alive

#: The file of what all jobs need.
SHARED = "shared"


@dataclass(frozen=True)
class LocalEngine:
    """Processes on this machine.

    Parameters
    ----------
    width
        Processes; with 1 the jobs run in this one.
    gpus
        GPUs that the processes are spread over; 0 where jobs compute on the CPU.
    first
        The number of the first of these GPUs.
    """

    width: int
    gpus: int = 0
    first: int = 0

    @classmethod
    def of(cls, device: str, workers: int | None, card: int | None = None) -> LocalEngine:
        """One process a core, or as many as pay a GPU (`processes_a_card`), unless told otherwise.

        Parameters
        ----------
        device
            ``cpu`` or ``cuda``.
        workers
            How many processes in all; None for what suits the machine.
        card
            The only GPU that they may take; None for any.
        """
        if device != "cuda":
            return cls(workers or available_cores())
        import torch

        cards = list(range(torch.cuda.device_count())) if card is None else [card]
        width = workers or len(cards) * processes_a_card(cards)
        return cls(width, len(cards), cards[0])

    def run(self, function: JobFunction, jobs: Sequence[Any], shared: Any, progress: Progress) -> None:
        """See `privaudit.engines.base.Engine.run`."""
        if self.width == 1 or len(jobs) == 1:
            for job in jobs:
                function(job, shared, Meter(progress))
            return
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        with scratch_folder(in_memory=True) as folder:
            board = _share(folder, shared, len(jobs))
            pool = Parallel(
                n_jobs=min(self.width, len(jobs)),
                return_as="generator_unordered",
                batch_size=1,
                max_nbytes=None,
                temp_folder=str(folder),
                backend="loky",
                # In each process before its first job: until then nothing else would tell it that this one is gone.
                initializer=_leave_with,
                initargs=(os.getpid(),),
            )
            try:
                with _watch(board, progress):
                    arguments = (
                        str(folder),
                        range(self.first, self.first + self.gpus),
                        _Caller(working_folder(), audience()),
                    )
                    for _ in pool(delayed(_run)(function, job, slot, *arguments) for slot, job in enumerate(jobs)):
                        pass
            except TerminatedWorkerError as error:
                raise PrivauditError(
                    "a worker process was killed (often by the system, for want of memory)",
                    hint="Run the same command again: finished models are kept. Fewer --workers need less memory.",
                ) from error


#: A small network leaves most of a card idle: while one process prepares a step, others compute theirs. Beyond a few
#: there is nothing left to fill, and each pays for a start of its own, some seconds, and for its own copy of the data.
MOST_A_CARD = 4

#: What a process should find on a card: CUDA itself (half a GiB), the pool, and the largest of our networks at its
#: default batch with all that it keeps for the way back.
BYTES_A_PROCESS = 16 << 30


def processes_a_card(cards: Sequence[int]) -> int:
    """How many processes share a card by default: as many as cores and free memory carry, 1 … `MOST_A_CARD`.

    Asking starts CUDA in this process; workers are processes begun afresh, so that it does not matter to them.
    """
    import torch

    free = min(torch.cuda.mem_get_info(card)[0] for card in cards)
    return max(1, min(MOST_A_CARD, available_cores() // len(cards), int(free) // BYTES_A_PROCESS))


def dismiss() -> None:
    """End the processes that wait for more jobs."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _share(folder: Path, shared: Any, jobs: int) -> _Board:
    """Write what all jobs need, once; workers map it. joblib would too, but where no killed run's could be found."""
    from joblib import dump

    try:
        dump(shared, folder / SHARED)
        return _Board(folder, jobs)
    except OSError as error:
        error.filename = error.filename or str(folder)  # A full disk names no file.
        raise


@dataclass(frozen=True)
class _Caller:
    """Where whoever asks is, and who hears what is said; ``here`` is None where that folder was deleted."""

    here: str | None
    audience: Audience


def _run(function: JobFunction, job: Any, slot: int, folder: str, gpus: range, caller: _Caller) -> None:
    from joblib import load

    # Processes wait for more jobs where they were started; whoever asks may have gone elsewhere since.
    if caller.here is not None:
        os.chdir(caller.here)
    done = np.memmap(_board(folder), np.float64, "r+")
    if gpus:
        _take_gpu(folder, gpus)

    def report(amount: float) -> None:
        done[slot] = amount

    report(0.0)
    # What a library prints here is no part of the command's answer.
    with speaking_to(caller.audience), redirect_stdout(sys.stderr), kept_alive():
        function(job, load(Path(folder) / SHARED, mmap_mode="r"), report)


def _leave_with(parent: int) -> None:
    """End this process, at work or idle, as soon as whoever started it is gone: another run may take the store."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _take_gpu(folder: str, gpus: range) -> None:
    """Make one of the GPUs this process's own; processes take them in turn."""
    import torch

    torch.cuda.set_device(gpus[_turn(folder) % len(gpus)])


@cache
def _turn(folder: str) -> int:
    """How many processes asked before this one; asked again it is the same."""
    with (Path(folder) / "turns").open("a+b") as turns:
        fcntl.flock(turns, fcntl.LOCK_EX)
        turns.write(b"+")
        turns.flush()
        return turns.tell() - 1


def _board(folder: str | Path) -> Path:
    return Path(folder) / "progress"


class _Board:
    """A few numbers in a memory-mapped file, one a job, which workers write and the parent reads."""

    def __init__(self, folder: Path, jobs: int) -> None:
        # Written, not only mapped: on a full disk that is an error, and a hole in the file a bus error later.
        _board(folder).write_bytes(np.zeros(jobs).tobytes())
        self.done = np.memmap(_board(folder), np.float64, "r+")


@contextmanager
def _watch(board: _Board, progress: Progress) -> Iterator[None]:
    stopped = threading.Event()
    meter = Meter(progress)

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
