"""Attacks side by side: they read the same arrays and wait for none of each other.

NumPy lets go of the interpreter while it sorts and adds, so threads are enough, and nothing is copied to them. Each
attack's own arithmetic stays in one thread: how many there are changes no bit of what is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from privaudit.config import available_cores
from privaudit.data.free_memory import available_memory

T = TypeVar("T")
U = TypeVar("U")

#: Below so many cells (model × sample) an attack is over before a thread is worth it.
FEWEST_CELLS = 100_000

#: Bytes that an attack takes for each cell while it is evaluated, besides what all of them read.
BYTES_PER_CELL = 180

#: The share of the free memory that attacks side by side may take.
SHARE_OF_MEMORY = 0.5


def side_by_side(run: Callable[[T], U], jobs: Sequence[T], cells: int) -> Iterator[U]:
    """Yield what ``run`` makes of each job, in order, as many at once as cores and memory allow.

    Parameters
    ----------
    run
        Safe to be run by several threads.
    jobs
        What it takes.
    cells
        How many cells each handles.
    """
    width = threads_for(cells)
    if width < 2:
        yield from map(run, jobs)
        return
    pool = ThreadPoolExecutor(width)
    try:
        yield from pool.map(run, jobs)
    finally:
        # After an error or a Ctrl-C nothing more is begun.
        pool.shutdown(wait=True, cancel_futures=True)


def threads_for(cells: int) -> int:
    """Return how many attacks on so many cells run at once, at least 1."""
    if cells < FEWEST_CELLS:
        return 1
    free = available_memory()
    fitting = available_cores() if free is None else int(SHARE_OF_MEMORY * free // (BYTES_PER_CELL * cells))
    return max(1, min(available_cores(), fitting))
