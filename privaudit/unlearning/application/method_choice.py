"""`--method auto`: which method a request gets where it names none, and why."""

from __future__ import annotations

from privaudit.results.unlearning.run import Chosen
from privaudit.runtime.progress import readable_time
from privaudit.unlearning.base import RETRAIN

AUTO = "auto"

#: What auto takes where it does not retrain.
APPROXIMATE = "shadow-teacher"

#: Minutes below which auto retrains unless an order is asked for.
RETRAIN_BELOW = 10.0


def sentence_of(chosen: Chosen) -> str:
    """Say which method was chosen, and what the exact alternative takes."""
    alternative = f"; the exact alternative is --method retrain, about {readable_time(chosen.exact_seconds)}"
    return f"method: {chosen.method}, {chosen.why}{'' if chosen.method == RETRAIN else alternative}"


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
        by, why = "user", f"asked for by --method {method}"
    else:
        by, method, why = AUTO, *_by_auto(wanted, exact_seconds, below, not_applicable)
    return Chosen(by=by, method=method, why=why, exact_seconds=round(exact_seconds, 1))


def _by_auto(wanted: str | None, exact_seconds: float, below: float, not_applicable: str | None) -> tuple[str, str]:
    """Choose, and say why."""
    takes = f"retraining takes about {readable_time(exact_seconds)}"
    if wanted is None and exact_seconds < 60 * below:
        return RETRAIN, f"since {takes}, and is exact (--retrain-below {below:g} minutes)"
    because = wanted or f"{takes}, and --retrain-below is {below:g} minutes"
    if not_applicable is not None:
        return RETRAIN, f"since {APPROXIMATE} is not applicable: {not_applicable} ({because})"
    return (
        APPROXIMATE,
        f"since {because}: it goes on training with soft labels of models that never saw the forgotten (approximate)",
    )
