"""The errors that people see: each names the value, the reason and what to do next."""

from __future__ import annotations

from typing import Any


class PrivauditError(Exception):
    """Something that the user can mend.

    Parameters
    ----------
    message
        What is wrong, with the value and the reason.
    hint
        What to do next: a command, a flag, or a place to look.
    """

    exit_code = 1

    #: What was found all the same, where a command tells its results and then fails.
    results: Any = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  {self.hint}"

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes send their errors back by value: the hint must survive the trip.
        return (_rebuild, (type(self), self.message, self.hint))


class UsageError(PrivauditError):
    """A request that can't be understood: an unknown name, a value out of range."""

    exit_code = 2


class DataError(PrivauditError):
    """A dataset that can't be used as it is."""


class StoreError(PrivauditError):
    """A store that can't be read, written or trusted."""


class TrainingDiverged(PrivauditError):
    """A training whose loss stopped being a number, whatever seed it was given."""


class GateBreached(PrivauditError):
    """An audit that does not keep within the limits it was held against."""

    exit_code = 3


class UnlearningRejected(PrivauditError):
    """An unlearned model that is no result: ruined, or no closer to retraining than doing nothing."""

    exit_code = 3


class EvidenceError(PrivauditError):
    """Too little evidence for the verdict that was asked for."""

    exit_code = 4


def _rebuild(kind: type[PrivauditError], message: str, hint: str | None) -> PrivauditError:
    return kind(message, hint=hint)
