"""`--method auto`: which method a request gets where it names none, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from privaudit.runtime.progress import readable_time
from privaudit.unlearning.base import RETRAIN

AUTO = "auto"

#: What auto takes where it does not retrain.
APPROXIMATE = "shadow-teacher"

#: Minutes below which auto retrains unless an order is asked for.
RETRAIN_BELOW = 10.0


@dataclass(frozen=True)
class Chosen:
    """The method of a run.

    Parameters
    ----------
    by
        ``user`` or ``auto``.
    method
        Which.
    why
        In words.
    exact_seconds
        What the exact alternative, retraining without the forgotten, takes on one worker.
    """

    by: str
    method: str
    why: str
    exact_seconds: float

    def sentence(self) -> str:
        """For people."""
        alternative = (
            ""
            if self.method == RETRAIN
            else f"; the exact alternative is --method retrain, about {readable_time(self.exact_seconds)}"
        )
        return f"method: {self.method}, {self.why}{alternative}"

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            "by": self.by,
            "method": self.method,
            "why": self.why,
            "exact_seconds": round(self.exact_seconds, 1),
        }


def choose_method(
    method: str, *, wanted: str | None, exact_seconds: float, below: float, not_applicable: str | None
) -> Chosen:
    """Choose by what retraining takes, for it is exact; an order, which it can't have, asks for another method.

    Parameters
    ----------
    method
        As it was asked for.
    wanted
        What of the request only a method can do that is handed forget samples, in words; None where nothing.
    exact_seconds
        That retraining takes.
    below
        Minutes up to which auto retrains.
    not_applicable
        Why shadow-teacher can't do it; None where it can.
    """
    if method != AUTO:
        return Chosen("user", method, f"asked for by --method {method}", exact_seconds)
    takes = f"retraining takes about {readable_time(exact_seconds)}"
    if wanted is None and exact_seconds < 60 * below:
        return Chosen(AUTO, RETRAIN, f"since {takes}, and is exact (--retrain-below {below:g} minutes)", exact_seconds)
    because = wanted or f"{takes}, and --retrain-below is {below:g} minutes"
    if not_applicable is not None:
        why = f"since {APPROXIMATE} is not applicable: {not_applicable} ({because})"
        return Chosen(AUTO, RETRAIN, why, exact_seconds)
    why = f"since {because}: it goes on training with soft labels of models that never saw the forgotten (approximate)"
    return Chosen(AUTO, APPROXIMATE, why, exact_seconds)
