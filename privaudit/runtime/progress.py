"""Progress on stderr: a bar on a terminal, plain lines elsewhere; and in a log. Results never come this way."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PLAIN_SECONDS = 5.0  # between two plain lines


@dataclass(frozen=True)
class Audience:
    """Who hears what is said.

    Parameters
    ----------
    quiet
        Whether stderr is spared.
    log
        A file that every line is added to, with its time.
    """

    quiet: bool = False
    log: Path | None = None


_audience = Audience()


def audience() -> Audience:
    """Return who hears what is said now: a worker is told when it starts."""
    return _audience


@contextmanager
def speaking_to(audience: Audience) -> Iterator[None]:
    """Within it, speak to this audience; what an outer one asked for holds all the same."""
    global _audience
    outer = _audience
    _audience = Audience(outer.quiet or audience.quiet, audience.log or outer.log)
    try:
        yield
    finally:
        _audience = outer


def write_log(message: str) -> None:
    """Add a message to the log, where there is one, as one write; a log that can't be written ends no run."""
    if _audience.log is None:
        return
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    lines = "".join(f"{now}  {line}\n" for line in message.splitlines())
    with suppress(OSError):
        append(_audience.log, lines)


def append(path: Path, text: str) -> None:
    """Add text to a file, which its owner alone may read if it is new."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, text.encode("utf-8", "backslashreplace"))
    finally:
        os.close(descriptor)


def talk(message: str) -> None:
    """Say something to the person who runs the command (stderr); who does not listen any more misses it."""
    write_log(message)
    if not _audience.quiet:
        with suppress(OSError, ValueError):
            print(message, file=sys.stderr, flush=True)


def readable_time(seconds: float) -> str:
    """Seconds as people say them: ``42 s``, ``3 min 20 s``, ``1 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Counts finished units of work and says how long the rest will take.

    Units are whatever the caller weighs its jobs in (sample-epochs, say), so that jobs of different size
    still give an honest time left.
    """

    def __init__(self, title: str, total: float) -> None:
        self.title = title
        self.total = total
        self.done = 0.0
        self._start = self._shown = time.monotonic()

    def advance(self, amount: float) -> None:
        """Report that ``amount`` more units are done."""
        if amount > 0:
            self.done = min(self.total, self.done + amount)
            self._show()

    def time_left(self) -> float | None:
        """Seconds left at the speed so far; None before anything is done."""
        elapsed = time.monotonic() - self._start
        return elapsed * (self.total - self.done) / self.done if self.done > 0 else None

    def _show(self) -> None:
        if (line := self._line_in_time()) is not None:
            talk(line)

    def _line_in_time(self) -> str | None:
        """How far it is; None where that was said a moment ago."""
        now = time.monotonic()
        if self.done < self.total and now - self._shown < PLAIN_SECONDS:
            return None
        self._shown = now
        left = self.time_left()
        when = "" if left is None or self.done >= self.total else f", {readable_time(left)} left"
        return f"  {self.title}: {100 * self.done / self.total:.0f}%{when}"


class _TerminalProgress(Progress):
    """The same, drawn as a bar by rich."""

    def __init__(self, title: str, total: float) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        super().__init__(title, total)
        self._bar = Bar(
            TextColumn("  {task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("· left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(title, total=total)
        self._bar.start()

    def _show(self) -> None:
        self._bar.update(self._task, completed=self.done)
        if (line := self._line_in_time()) is not None:
            write_log(line)

    def close(self) -> None:
        self._bar.stop()


@contextmanager
def progress(title: str, total: float) -> Iterator[Progress]:
    """Show the progress of ``total`` units of work."""
    if sys.stderr.isatty() and not _audience.quiet:
        bar = _TerminalProgress(title, total)
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield Progress(title, total)
