"""What a command answers is all that stdout holds: its reader may be a program.

Libraries print too (Ray tells of a dead node from a thread of its own, whatever it was asked to log): while a command
runs, that goes to stderr.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click

from privaudit.errors import PrivauditError
from privaudit.results.base import Result
from privaudit.results.report_paths import ReportPaths

#: Where answers go while a command runs.
_stream: TextIO | None = None

_for_good = False


#: Whether there is a stdout at all, and whether its reader is still there.
_closed = _gone = False


def nobody_listens() -> None:
    """From now on an answer is an error: stdout was closed before the command began."""
    global _closed
    _closed = True


def can_show(text: str) -> bool:
    """Whether stdout can: it has the signs, and is no terminal that says it is dumb."""
    stream = _stream or sys.stdout
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return not (stream.isatty() and os.environ.get("TERM") == "dumb")


def answer(text: object) -> None:
    """One line on stdout; where its reader went away (head, say) the command goes on to its own end, in silence."""
    global _gone
    if _gone:
        return
    try:
        click.echo(text, file=_stream)
    except BrokenPipeError:
        _gone = True
    except OSError as error:
        raise PrivauditError(
            f"cannot write the answer to stdout: {error.strerror}",
            hint="Run the same command again with its output elsewhere: what was finished is kept.",
        ) from error


def answer_json(results: Result | dict[str, Any]) -> None:
    """Answer with one JSON object on stdout; results within it are written as they are by themselves."""
    answer(json.dumps(results, indent=2, allow_nan=False, default=Result.to_json))


def answer_reports(paths: ReportPaths) -> None:
    """Answer with the path of each report that could be made, a line each."""
    for path in paths.made:
        answer(f"report: {path}")


def alone_on_stdout(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command's function: what it answers reaches stdout, what anybody else prints goes to stderr."""

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        global _stream
        if _closed:
            raise PrivauditError(
                "cannot write the answer to stdout: it is closed",
                hint="Send it to a file, or to /dev/null where nobody wants it.",
            )
        outer, printed = _stream, sys.stdout
        _stream, sys.stdout = outer or printed, sys.stderr
        try:
            return function(*arguments, **options)
        finally:
            _stream = outer
            if not _for_good:
                sys.stdout = printed

    return command


@contextmanager
def for_good() -> Iterator[None]:
    """Within it, stdout is not given back after a command: the process is about to end, and threads may still print."""
    global _for_good
    _for_good = True
    try:
        yield
    finally:
        _for_good = False
