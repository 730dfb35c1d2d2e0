"""The end of the process: with the command's own exit code, whatever comes in between, and soon."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import NoReturn

from privaudit.cli.standard_streams import flush_streams
from privaudit.runtime.progress import talk
from privaudit.runtime.scratch import remove_own

INTERRUPTED = 130

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: Seconds that what a user's code left running is waited for.
PATIENCE = 5.0

#: So often; then the process ends although nothing is seen that keeps it.
MOST_ROUNDS = 12


def leave(code: int) -> NoReturn:
    """End the process. The command is done: signals change nothing any more, and nobody is waited for for long."""
    for number in SIGNALS:
        # Ignored, not handled: Python gives handlers back before it has ended, and ignored signals stay so.
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_in_time, args=(code,), daemon=True).start()
    sys.exit(code)


def leave_at_once() -> NoReturn:
    """Exit with 130 whatever the interrupt passed through.

    Where it passed through code that a C extension ran (an import of torch, say), CPython notes it as unhandled
    although it was handled, and ends by killing itself with the signal. Nor is there anything to wait for: files are
    whole or absent, workers leave once whoever asked for them is gone, and their shared memory is cleaned up after.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _end(INTERRUPTED)


def _end(code: int) -> NoReturn:
    remove_own()
    flush_streams(sys.stdout, sys.stderr)
    os._exit(code)


def _end_in_time(code: int) -> None:
    """End the process after a while if a thread or a child of the user's code keeps it from ending."""
    for _ in range(MOST_ROUNDS):
        time.sleep(PATIENCE)
        left = [f"thread '{thread.name}'" for thread in threading.enumerate() if _keeps_the_process(thread)]
        for child in _children():
            left.append(f"process '{child.name}'")
            with suppress(OSError):
                os.kill(child.pid or 0, signal.SIGKILL)
        if left:
            talk(
                f"warning: {', '.join(left)} still ran when the command was done, and was ended: code that privaudit "
                "calls should end what it starts (daemon=True, or join)"
            )
            break
    _end(code)


def _keeps_the_process(thread: threading.Thread) -> bool:
    """Whether a thread is one of the user's that Python would wait for; the pool of our workers ends its own."""
    of_pool = type(thread).__module__.startswith("joblib.externals.loky")
    return not (thread.daemon or of_pool or thread is threading.main_thread())


def _children() -> list[BaseProcess]:
    """Return the processes that Python would wait for; our own workers are none, and leave by themselves."""
    processes = sys.modules.get("multiprocessing")
    children: list[BaseProcess] = [] if processes is None else processes.active_children()
    return [
        child
        for child in children
        if child.pid and not child.daemon and type(child).__module__.startswith("multiprocessing.")
    ]
