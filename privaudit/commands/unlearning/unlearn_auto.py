"""What `--method auto` comes to: retraining, or what a calibration of this audit found for this kind of forget set."""

from __future__ import annotations

from privaudit.commands.unlearning.run_naming import decides_unlearning
from privaudit.commands.unlearning.unlearn_inputs import OpenedAudit
from privaudit.config import Sequencing, UnlearnSettings
from privaudit.evaluation.u_lira import choose_models
from privaudit.results.unlearning.calibration import CalibrationPlan
from privaudit.results.unlearning.run import Chosen
from privaudit.runtime.progress import talk
from privaudit.trials.calibration.calibrate import CalibrationOf
from privaudit.unlearning.application.method_choice import (
    by_calibration,
    calibration_in_words,
    retrain_rather_than_calibrate,
    sentence_of,
    yet_to_calibrate,
)
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.base import RETRAIN
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.schedule.ordering import score_of
from privaudit.unlearning.schedule.stages import sequencing_of
from privaudit.unlearning.teachers import split_pairs


def only_by_steps(settings: UnlearnSettings) -> str | None:
    """Return what of the request only a method can do that is handed forget samples, in words; None where nothing."""
    if "order" in settings.model_fields_set and settings.order != "none":
        return f"--order {settings.order} is asked for, and retraining has none"
    if sequencing_of(settings) != Sequencing(order=settings.order):
        return "the forget set is to be handed over in a certain way, and retraining is handed none"
    return "--u-lira attacks approximate methods" if settings.u_lira is not None else None


def settled(
    settings: UnlearnSettings, first: Chosen, audit: OpenedAudit, forget: ForgetSet, *, dry_run: bool
) -> tuple[UnlearnSettings, Chosen, CalibrationPlan | None]:
    """Go from a first choice to method and parameters; where they need a calibration, find or make it.

    Returns
    -------
    tuple
        The request with its method and parameters; the choice; and in a dry run what a calibration would take that is
        not there yet.
    """
    if settings.u_lira is not None and first.method != RETRAIN:
        # Too few shadow models are told before a calibration is paid for.
        choose_models(split_pairs(audit.plan.shadows, audit.bench.seed).judging, settings.u_lira)
    if "order" not in settings.model_fields_set and sequencing_of(settings) == Sequencing(order=settings.order):
        # No order is asked for: all at once is what forgets best.
        settings = settings.changed(order="none")
    score_of(audit.bench.table.iloc[forget.rows], settings.order)
    chosen, planned = first, None
    if first.method != RETRAIN:
        chosen, planned = _calibrated(settings, first, audit, forget, dry_run=dry_run)
    talk(f"  {sentence_of(chosen)}")
    if chosen.method == RETRAIN and settings.u_lira is not None:
        talk("  --u-lira is left out: retraining never sees a forgotten sample, so there is nothing to attack")
        settings = settings.changed(u_lira=None)
    if chosen.method == RETRAIN:
        # It has no stages, so nothing is paced or ranked again.
        settings = settings.changed(pace="linear", rerank="static")
    settings = settings.changed(method=chosen.method, retrain_below=None)
    if chosen.calibration is not None:
        values = chosen.calibration.parameters
        settings = settings.changed(parameter=tuple(f"{name}={value!r}" for name, value in values.items()))
    return settings, chosen, planned


def _calibrated(
    settings: UnlearnSettings, first: Chosen, audit: OpenedAudit, forget: ForgetSet, *, dry_run: bool
) -> tuple[Chosen, CalibrationPlan | None]:
    """Find or make the calibration that a first choice other than retraining needs."""
    problem = UnlearningProblem.of(audit.bench, audit.plan.arrays, forget, settings.seed)
    decides = decides_unlearning(audit.bench)
    calibration = CalibrationOf(audit.plan, problem, sequencing_of(settings), settings.guard == "on", decides)
    found = calibration.stored()
    if found is not None:
        talk(f"  calibrated before for forget sets of this kind ({found.kind.words})")
        return by_calibration(first, found), None
    if (usual := calibration.without_trials()) is not None:
        return by_calibration(first, usual), None
    planned = calibration.foretell()
    # Who names neither an order nor minutes is served best by what is exact, and sooner.
    free = settings.retrain_below is None and only_by_steps(settings) is None
    if free and planned.seconds > first.exact_seconds:
        return retrain_rather_than_calibrate(first, planned), None
    if dry_run:
        return yet_to_calibrate(first, planned), planned
    talk(f"  {calibration_in_words(planned).removesuffix(',')}; paid once")
    return by_calibration(first, calibration.made()), None
