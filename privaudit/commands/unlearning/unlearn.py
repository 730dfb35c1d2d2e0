"""`privaudit unlearn`: forget in order, hold the result against retraining, audit again, renew the report."""

from __future__ import annotations

from privaudit.audit.result_files import REJECTED_MODEL, RESULTS
from privaudit.audit.thumbnails import write_thumbnails
from privaudit.commands.unlearning.earlier_run import is_whole_link
from privaudit.commands.unlearning.run_files import METRICS_FILE, is_there, run_folder
from privaudit.commands.unlearning.unlearn_estimate import UnlearnEstimate, Work, estimate_run
from privaudit.commands.unlearning.unlearn_inputs import opened
from privaudit.commands.unlearning.unlearn_request import ResolvedRequest, request_of, resolve
from privaudit.commands.unlearning.unlearn_run import make_run
from privaudit.config import UnlearnSettings
from privaudit.errors import UnlearningRejected
from privaudit.report.content import comparability
from privaudit.report.content.outcome_wording import with_outcome
from privaudit.report.content.unlearning_wording import of_promise
from privaudit.report.redaction import privacy_of
from privaudit.report.write import render_report
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import read_result
from privaudit.results.unlearning.calibration import CalibrationPlan
from privaudit.results.unlearning.plan import UnlearnCost, UnlearnPlan
from privaudit.results.unlearning.run import UnlearnAnswer, UnlearnResults
from privaudit.runtime.progress import talk


def run_unlearn(settings: UnlearnSettings) -> UnlearnAnswer:
    """Unlearn from the audit's target model; return what ``unlearn --json`` prints.

    Raises
    ------
    UnlearningRejected
        Where the outcome is ``unchanged`` or ``ruined``; its ``results`` are what would have been returned.
    """
    request_of(settings)  # A mistake is told before anything is opened.
    with opened(settings, dry_run=False) as audit:
        wanted = resolve(settings, audit)
        folder = run_folder(audit.out / "unlearn", wanted.name)
        if is_there(folder) and is_whole_link(folder, wanted.earlier):
            talk(f"  run {folder.name} is there already: nothing is trained")
            results = read_result(folder / METRICS_FILE, UnlearnResults)
        else:
            foretell(wanted)
            results = make_run(wanted, folder)
        if settings.base.show_samples:
            write_thumbnails(audit.plan, audit.out)
        report = render_report(audit.out, privacy_of(settings.base))
        warnings = comparability.of_unlearning(read_result(audit.out / RESULTS, ScoreResults))
        warnings += of_promise(audit.plan.identity, results, is_given=audit.plan.given is not None)
        for warning in warnings:
            talk(f"  warning: {warning}")
    # A run that is there may have been chosen otherwise than this request chose it.
    asked = {"chosen": wanted.chosen, "report": report, "folder": str(folder), "warnings": warnings}
    answer = UnlearnAnswer.model_validate({**with_outcome(results), **asked})
    if answer.is_rejected:
        error = UnlearningRejected(
            f"the model is {answer.outcome}: it is kept as {folder / REJECTED_MODEL}, not to be deployed",
            hint="privaudit unlearn --method retrain with the same --forget is exact.",
        )
        error.results = answer
        raise error
    return answer


def plan_unlearn(settings: UnlearnSettings) -> UnlearnPlan:
    """Return what ``unlearn --dry-run --json`` prints; nothing is trained, changed or written."""
    request_of(settings)
    with opened(settings, dry_run=True) as audit:
        wanted = resolve(settings, audit, dry_run=True)
        folder = run_folder(audit.out / "unlearn", wanted.name)
        there = wanted.calibration is None and is_there(folder) and is_whole_link(folder, wanted.earlier)
        cost = None if there else foretell(wanted, names_exact=False)
    for note in wanted.forget.notes:
        talk(f"  {note}")
    return UnlearnPlan(
        **(UnlearnCost() if cost is None else cost.result()),
        audit=audit.plan.name,
        run=folder.name,
        is_there=cost is None,
        method=wanted.method,
        order=wanted.order,
        forget=len(wanted.forget.rows),
        samples=len(audit.plan.data),
        chosen=wanted.chosen,
        calibration=_with_memory(wanted.calibration, cost),
    )


def _with_memory(planned: CalibrationPlan | None, cost: UnlearnEstimate | None) -> CalibrationPlan | None:
    """A calibration holds what a run holds: models one after the other."""
    return None if planned is None or cost is None else planned.model_copy(update={"memory_bytes": cost.memory_bytes})


def foretell(wanted: ResolvedRequest, *, names_exact: bool = True) -> UnlearnEstimate:
    """Say what a run that is not there yet will cost, and what the exact alternative, unless that is said elsewhere."""
    cost = estimate_run(wanted.audit.plan, wanted.handed, wanted.request, Work.of(wanted))
    for sentence in cost.sentences(is_exact=wanted.request is None or not names_exact):
        talk(f"  {sentence}")
    return cost
