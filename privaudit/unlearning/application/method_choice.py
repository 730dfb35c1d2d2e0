"""`--method auto`: which method a request gets where it names none, and why."""

from __future__ import annotations

from privaudit.results.unlearning.calibration import Calibration, CalibrationPlan
from privaudit.results.unlearning.run import Chosen
from privaudit.runtime.progress import readable_time
from privaudit.unlearning.base import RETRAIN

AUTO = "auto"

#: What auto is expected to take where it does not retrain, until a calibration says what it does.
APPROXIMATE = "shadow-teacher"

#: Minutes below which auto retrains unless an order is asked for.
RETRAIN_BELOW = 10.0


def sentence_of(chosen: Chosen) -> str:
    """Say which method was chosen, and why."""
    return f"method: {chosen.method}, {chosen.why}"


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

    Returns
    -------
    Chosen
        With ``shadow-teacher`` where a calibration has to say more.
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
    return APPROXIMATE, f"since {because}"


def by_calibration(first: Chosen, found: Calibration) -> Chosen:
    """Take what a calibration chose; where that is retraining, say that nothing else was found safe."""
    of_kind = f"for forget sets of this kind ({found.kind.words})"
    if found.method == RETRAIN:
        why = f"{first.why}, but no other method was found safe {of_kind}: {found.why}"
    else:
        changes = " ".join(f"{name}={value:g}" for name, value in found.parameters.items())
        why = f"{first.why}; {of_kind} it is, at {changes or 'its defaults'}, {found.why} (approximate)"
    return first.model_copy(update={"method": found.method, "why": why, "calibration": found})


def yet_to_calibrate(first: Chosen, planned: CalibrationPlan) -> Chosen:
    """Say that a calibration will choose, and what it will take."""
    why = f"{first.why}; {calibration_in_words(planned)} chooses method and parameters, {APPROXIMATE} most likely"
    return first.model_copy(update={"why": why})


def retrain_rather_than_calibrate(first: Chosen, planned: CalibrationPlan) -> Chosen:
    """Retrain, where finding out what to do otherwise takes longer and nobody asked for anything else."""
    why = (
        f"{first.why}, but {calibration_in_words(planned)} would have to choose another method first, and "
        f"retraining is exact; --retrain-below 0 calibrates, for this request and later ones"
    )
    return first.model_copy(update={"method": RETRAIN, "why": why})


def calibration_in_words(planned: CalibrationPlan) -> str:
    """What a calibration takes."""
    return (
        f"a calibration for forget sets of this kind ({planned.kind.words}), {planned.candidates} candidates and "
        f"{planned.models} retrained models in about {readable_time(planned.seconds)},"
    )
