"""The process's standard streams: each is open, and stdout is kept for answers alone."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from privaudit.cli import output


def claim_streams() -> None:
    """Open what the caller closed, and keep stdout for answers: what children and C libraries print goes to stderr.

    A closed stream's number would be that of the next file that is opened, to be written to by whoever prints. Nothing
    happens where stdout is not the process's own, as within another program.
    """
    if sys.stdout is not sys.__stdout__:
        return
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        _open_if_closed(number, mode)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, "r", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    if sys.stdout is None:
        output.nobody_listens()
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.flush()
        # A copy that no child inherits; the old number is stderr's from here on.
        kept, encoding = os.dup(1), sys.stdout.encoding
        os.dup2(2, 1)
        # A minus sign is no reason to lose an answer to an older terminal.
        sys.stdout = os.fdopen(kept, "w", encoding=encoding, errors="backslashreplace")


def _open_if_closed(number: int, mode: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, mode)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def flush_streams(*streams: TextIO) -> None:
    """Write what is left to write; a reader that went away (head, say) is nothing to complain about."""
    for stream in streams:
        try:
            stream.flush()
        except (OSError, ValueError):
            # What could not be written stays in the buffer, and would be tried again at the end.
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
