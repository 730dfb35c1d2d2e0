"""What a command answers is all that stdout holds: its reader may be a program.

Libraries print too (Ray tells of a dead node from a thread of its own, whatever it was asked to log): while a command
runs, that goes to stderr.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any, TextIO

import click

#: Where answers go while a command runs.
_stream: TextIO | None = None


def answer(text: object) -> None:
    """One line on stdout."""
    click.echo(text, file=_stream)


def answer_json(results: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    answer(json.dumps(results, indent=2, allow_nan=False))


def alone_on_stdout(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command's function: what it answers reaches stdout, what anybody else prints goes to stderr."""

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        global _stream
        outer = _stream
        _stream = outer or sys.stdout
        try:
            with redirect_stdout(sys.stderr):
                return function(*arguments, **options)
        finally:
            _stream = outer

    return command
