"""Running a user's code: it shares our process, and must not change it for what comes after, nor end it.

What no one can catch is ``os._exit`` and a crash of a C extension.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path, PurePath
from typing import Any

from privaudit.errors import PrivauditError

#: Where the user's code last went: it finds itself there again, and nobody else does.
_their_folder: str | None = None

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProgramEnded(PrivauditError):
    """A user's code that tried to end the program: ``sys.exit``, ``quit``, an argument parser that found a mistake."""


@contextmanager
def user_code() -> Iterator[None]:
    """Run a user's code: what it prints goes to stderr, and what it sets for the whole process is put back.

    Put back are the working folder, ``sys.stderr``, signal handlers, filters of warnings, the global generators of
    Python and NumPy, NumPy's handling of floating-point errors, and torch's defaults.

    Raises
    ------
    ProgramEnded
        Where it ends the program, whatever its exit code: nothing of an audit was finished by that.
    """
    restore = [kept() for kept in (_folder, _stderr, _handlers, _generators, _numpy, _torch)]
    with warnings.catch_warnings(), redirect_stdout(sys.stderr), kept_alive():
        try:
            yield
        finally:
            for put_back in restore:
                put_back()


@contextmanager
def kept_alive() -> Iterator[None]:
    """Run our code that calls a user's in many places (a network's layers); raise `ProgramEnded` where it would end."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise ended_by(error) from error


def ended_by(error: BaseException) -> ProgramEnded:
    """The error to tell of a ``SystemExit`` (or another end of a program) that came out of a user's code."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "_sitebuiltins" not in f.filename]
    own = [frame for frame in frames if not _is_ours(frame.filename)]
    place = f" ({PurePath(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    how = f"sys.exit({error.code!r})" if isinstance(error, SystemExit) else type(error).__name__
    return ProgramEnded(
        f"the code that was brought ended the program with {how}{place}, so nothing came of the rest",
        hint="Leave that out: a function returns, or raises an error that says what is wrong.",
    )


def _is_ours(file: str) -> bool:
    return Path(file).is_relative_to(Path(__file__).parent.parent) or PurePath(file).name == "contextlib.py"


def _folder() -> Callable[[], None]:
    global _their_folder
    try:
        before = str(Path.cwd())
    except FileNotFoundError:  # It was deleted under us.
        return lambda: None
    if _their_folder is not None:
        with suppress(OSError):
            os.chdir(_their_folder)

    def put_back() -> None:
        global _their_folder
        with suppress(OSError):
            now = str(Path.cwd())
            _their_folder = now if now != before else None
        with suppress(OSError):
            os.chdir(before)

    return put_back


def _stderr() -> Callable[[], None]:
    before = sys.stderr

    def put_back() -> None:
        sys.stderr = before

    return put_back


def _handlers() -> Callable[[], None]:
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def put_back() -> None:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    return put_back


@contextmanager
def other_draws() -> Iterator[None]:
    """Seed the global generators of Python and NumPy by chance, as in another process, and put them back afterwards.

    `user_code` gives each call the generators of the one before: what draws from them seems to be the same each time.
    """
    restore = [kept() for kept in (_generators, _numpy)]
    random.seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()
    try:
        yield
    finally:
        for put_back in restore:
            put_back()


def _generators() -> Callable[[], None]:
    before = random.getstate()

    def put_back() -> None:
        random.setstate(before)

    return put_back


def _numpy() -> Callable[[], None]:
    numpy: Any = sys.modules.get("numpy")
    if not hasattr(numpy, "random"):
        return lambda: None
    state, errors = numpy.random.get_state(), numpy.geterr()

    def put_back() -> None:
        numpy.random.set_state(state)
        numpy.seterr(**errors)

    return put_back


def _torch() -> Callable[[], None]:
    """Torch's defaults, as they were or, where the user's code is the first to import it, as torch has them."""
    torch: Any = sys.modules.get("torch")
    before = None if not hasattr(torch, "get_default_device") else _torch_settings(torch)

    def put_back() -> None:
        torch: Any = sys.modules.get("torch")
        if not hasattr(torch, "get_default_device"):
            return
        now = _torch_settings(torch)
        was = before or now | {"dtype": torch.float32, "device": torch.device("cpu"), "grad": True}
        if now["dtype"] != was["dtype"]:
            torch.set_default_dtype(was["dtype"])
        if now["device"] != was["device"]:
            torch.set_default_device(None if was["device"] == torch.device("cpu") else was["device"])
        if now["grad"] != was["grad"]:
            torch.set_grad_enabled(was["grad"])
        if now["threads"] != was["threads"]:
            torch.set_num_threads(was["threads"])
        if now["deterministic"] != was["deterministic"]:
            torch.use_deterministic_algorithms(was["deterministic"])
        if now["matmul"] != was["matmul"]:
            torch.set_float32_matmul_precision(was["matmul"])

    return put_back


def _torch_settings(torch: Any) -> dict[str, Any]:
    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "grad": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
    }
