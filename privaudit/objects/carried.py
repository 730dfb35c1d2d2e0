"""Functions and classes that live in no file, on their way to the processes that run jobs.

They travel by value, pickled by cloudpickle, as joblib sends every job, in the message that calls the job: from process
to process, through no file of ours, and nothing else is ever read that way.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from privaudit.errors import UsageError
from privaudit.objects import held

#: Tells this process from all others, of other machines too.
_PROCESS = secrets.token_hex(8)

#: The code that this process holds of another's: names are used again for other code.
_current: list[str] = []


@dataclass(frozen=True)
class Carried:
    """A job's function that brings along what is held where it was called; there it is the function alone.

    Parameters
    ----------
    function
        A module-level function.
    origin
        The process that holds the code.
    code
        The code by name, pickled by value.
    """

    function: Callable[..., Any]
    origin: str
    code: bytes

    @property
    def __name__(self) -> str:
        """What engines call their tasks by."""
        return str(self.function.__name__)

    def __call__(self, *arguments: Any) -> Any:
        """Hold the code here, unless it is what is held, and call the function."""
        digest = hashlib.sha256(self.code).hexdigest()
        if self.origin != _PROCESS and _current != [digest]:
            import cloudpickle

            held.take_in(cloudpickle.loads(self.code))
            _current[:] = [digest]
        return self.function(*arguments)


def with_code(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what is to be called in place of a job's function: itself where no code is held."""
    code = held.all_code()
    return Carried(function, _PROCESS, pickled(code)) if code else function


def pickled(code: dict[str, Any]) -> bytes:
    """Pickle functions and classes by value; `UsageError` where they refer to what can't be sent anywhere."""
    import cloudpickle

    try:
        content: bytes = cloudpickle.dumps(code)
    except Exception as error:  # Whatever the pickling methods of what they refer to may raise.
        raise UsageError(
            f"the network {', '.join(code)} can't be sent to the processes that train with it: "
            f"{type(error).__name__}: {str(error)[:200]}",
            hint="It refers to something of this process alone: an open file, a lock, a generator. Leave that out.",
        ) from error
    return content
