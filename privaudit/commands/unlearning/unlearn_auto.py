"""What `--method auto` comes to: retraining, or what a calibration of this audit found for this kind of forget set."""

from __future__ import annotations

from dataclasses import dataclass

from privaudit.commands.unlearning.unlearn_inputs import OpenedAudit
from privaudit.config import Sequencing, UnlearnSettings
from privaudit.results.unlearning.calibration import CalibrationPlan
from privaudit.results.unlearning.run import Chosen
from privaudit.runtime.progress import talk
from privaudit.trials.calibration.calibrate import CalibrationOf
from privaudit.unlearning.application.method_choice import (
    by_calibration,
    calibration_in_words,
    retrain_rather_than_calibrate,
    yet_to_calibrate,
)
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.base import RETRAIN
from privaudit.unlearning.requests.forget_set import ForgetSet


@dataclass(frozen=True)
class AutoRequest:
    """A request of which auto is to choose the method.

    Parameters
    ----------
    settings, sequencing
        As asked for, and how forget samples would be handed over.
    wanted
        What of it only a method can do that is handed forget samples; None where nothing.
    decides
        What decides any unlearning of the audit.
    dry_run
        Whether nothing may be trained.
    """

    settings: UnlearnSettings
    sequencing: Sequencing
    wanted: str | None
    decides: dict[str, object]
    dry_run: bool


def calibrated_choice(
    first: Chosen, asked: AutoRequest, audit: OpenedAudit, forget: ForgetSet
) -> tuple[Chosen, CalibrationPlan | None]:
    """Find or make the calibration that a first choice other than retraining needs.

    Returns
    -------
    tuple
        The choice; and in a dry run what a calibration would take that is not there yet.
    """
    if first.method == RETRAIN:
        return first, None
    settings = asked.settings
    problem = UnlearningProblem.of(audit.bench, audit.plan.arrays, forget, settings.seed)
    calibration = CalibrationOf(audit.plan, problem, asked.sequencing, settings.guard == "on", asked.decides)
    found = calibration.stored()
    if found is not None:
        talk(f"  calibrated before for forget sets of this kind ({found.kind.words})")
        return by_calibration(first, found), None
    if (usual := calibration.without_trials()) is not None:
        return by_calibration(first, usual), None
    planned = calibration.foretell()
    # Who names neither an order nor minutes is served best by what is exact, and sooner.
    if asked.wanted is None and settings.retrain_below is None and planned.seconds > first.exact_seconds:
        return retrain_rather_than_calibrate(first, planned), None
    if asked.dry_run:
        return yet_to_calibrate(first, planned), planned
    talk(f"  {calibration_in_words(planned).removesuffix(',')}; paid once")
    return by_calibration(first, calibration.made()), None
