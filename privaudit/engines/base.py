"""What every engine promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from privaudit.objects.carried import with_code
from privaudit.runtime.progress import Progress
from privaudit.runtime.user_code import kept_alive

POLL_SECONDS = 1.0

#: Tells how many units of its work a job has done so far.
Report = Callable[[float], None]

#: A module-level function of a job, of what all jobs share, and of where to report progress. It may be called again
#: for a job that was cut short at any point, and must then come to the same files.
JobFunction = Callable[[Any, Any, Report], Any]


class Engine(Protocol):
    """Runs jobs. Results go through files: a job that returned has put its work in the store."""

    @property
    def width(self) -> int:
        """How many jobs it runs at a time."""

    def run(self, function: JobFunction, jobs: Sequence[Any], shared: Any, progress: Progress) -> None:
        """Call ``function(job, shared, report)`` for every job, some of them at a time.

        Parameters
        ----------
        function
            A module-level function.
        jobs
            Independent of each other, in the order in which they should start.
        shared
            Sent to every machine once; large arrays in it are shared by its processes, read-only, not copied.
        progress
            Advanced by what jobs report, in their own units.
        """


def run_jobs(function: JobFunction, jobs: Sequence[Any], shared: Any, engine: Engine, progress: Progress) -> None:
    """Run jobs on an engine; see `Engine.run`."""
    if jobs:
        with kept_alive():  # which jobs run: networks, training functions
            engine.run(with_code(function), jobs, shared, progress)


class Meter:
    """Turns a job's own count into steps of the common progress; a job that starts again does not turn it back."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._seen = 0.0

    def __call__(self, done: float) -> None:
        if done > self._seen:
            self._progress.advance(done - self._seen)
            self._seen = done
