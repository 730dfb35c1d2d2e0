"""`privaudit defend`: the audited configuration against variations of it and measures at its output."""

from __future__ import annotations

from pathlib import Path

from privaudit.artifacts import DEFENCE, DEFENCE_TABLE, DEFENCES
from privaudit.audit.cost.stopwatch import Measured
from privaudit.audit.declaration import keep_declaration, read_declaration
from privaudit.audit.plan import AuditPlan
from privaudit.audit.result_files import spreadsheet_text
from privaudit.commands.defence.boundary import Walk
from privaudit.commands.defence.output_measures import measure_outputs, why_unmeasured
from privaudit.commands.defence.variant_figures import Audited, audited, table_of, variant_of, with_decisions
from privaudit.commands.defence.variation_audits import (
    Planned,
    audit_variation,
    cost_of,
    demand_whole_store,
    leave_out_most_exposed,
    left_out_before,
    open_baseline,
    plan_variation,
)
from privaudit.commands.defence.variations import BASELINE, Variation, default_variations, read_sweep
from privaudit.config import AuditSettings
from privaudit.errors import UsageError
from privaudit.report.defence.defence_document import build_defence
from privaudit.report.defence.defence_wording import sentence
from privaudit.report.write import write_report
from privaudit.results.base import write_result
from privaudit.results.defence_results import DefenceAnswer, DefenceEstimate, DefenceResults, OutputMeasures
from privaudit.runtime import files
from privaudit.runtime.progress import readable_time, talk
from privaudit.scoring.defence.recommendation import DECIDING_RATE, decide

#: What showing less of what a model says is called.
AT_THE_OUTPUT = "Measures at the output"


def plan_defence(
    settings: AuditSettings, given: set[str], audit: str | None, sweep: Path | None, walk: Walk | None = None
) -> DefenceEstimate:
    """Return what `run_defence` would do and cost; ``given`` are the options that were given."""
    baseline, planned, skipped = _plan(settings, given, audit, sweep, walk)
    return _estimate(baseline, planned, skipped, walk)


def run_defence(
    settings: AuditSettings,
    given: set[str],
    audit: str | None,
    *,
    sweep: Path | None = None,
    max_accuracy_loss: float | None = None,
    walk: Walk | None = None,
) -> DefenceAnswer:
    """Audit every variation, attack what measures at the output show, and report; return what ``--json`` prints."""
    baseline, planned, skipped = _plan(settings, given, audit, sweep, walk)
    _estimate(baseline, planned, skipped, walk)
    folder = settings.out / DEFENCES / baseline.name
    for place in (folder.parent, folder):
        files.claim(place)
    files.demand_writable(folder)
    if settings.declare is not None:
        files.claim(settings.out / baseline.name)
        keep_declaration(read_declaration(settings.declare), settings.out / baseline.name)
    rows, trained = _audit_all(baseline, planned)
    own = rows[0]
    talk("  measures at the output of the audited models")
    outputs = measure_outputs(own.plan, own.scored.results, walk)
    if outputs is None and why_unmeasured(own.plan) is None:
        skipped = [*skipped, f"{AT_THE_OUTPUT}: the store does not hold every shadow model, or too few that are alike."]
        talk(f"  not tried: {skipped[-1]}")
    results = _results(rows, outputs, skipped, max_accuracy_loss)
    write_result(folder / DEFENCE.path, results)
    table = folder / DEFENCE_TABLE.path
    files.write_text(table, spreadsheet_text(table_of(results.variants, results.outputs)))
    files.seal(table)
    report = write_report(build_defence(results), folder)
    return DefenceAnswer(**dict(results), trained=trained, table=str(table), folder=str(folder), report=report)


def _unmeasured(baseline: AuditPlan, walk: Walk | None) -> list[str]:
    """Say that nothing at the output can be tried; `UsageError` where a walk to the boundary was asked for."""
    if (why := why_unmeasured(baseline)) is None:
        return []
    if walk is not None:
        raise UsageError(
            f"--boundary {walk.samples}: it asks stored models again: {why}",
            hint="Leave --boundary out, or audit a network with --shadows 16.",
        )
    return [f"{AT_THE_OUTPUT}: {why}."]


def _plan(
    settings: AuditSettings, given: set[str], audit: str | None, sweep: Path | None, walk: Walk | None
) -> tuple[AuditPlan, list[Planned], list[str]]:
    """The baseline, then every variation that can be planned, and what is left out."""
    listed = None if sweep is None else read_sweep(sweep)
    baseline = open_baseline(settings, given, audit)
    baseline.store.demand_not_purged()
    unmeasured = _unmeasured(baseline, walk)
    found, skipped = default_variations(baseline) if listed is None else (listed, [])
    steps: dict[tuple[object, ...], Measured] = {}
    cost = cost_of(baseline, steps)
    planned = [Planned(Variation(BASELINE, "as it was audited", {}), baseline, cost)]
    names = {baseline.name}
    for listed_variation in found:
        variation = left_out_before(baseline, listed_variation)
        try:
            plan = plan_variation(baseline, variation)
        except UsageError as error:
            if listed is not None:
                raise UsageError(f"--sweep {sweep}: [{variation.name}] {error.message}", hint=error.hint) from None
            skipped.append(f"{variation.sentence}: {error.message}.")
            continue
        if plan is not None:
            # Before anything is trained, and not when its turn comes.
            demand_whole_store(variation, plan)
        if plan is not None and plan.name in names:
            skipped.append(f"{variation.sentence}: it is the same as another.")
            continue
        names |= set() if plan is None else {plan.name}
        # Until the most exposed are known, as many models as the baseline's cost as much.
        known = cost_of(baseline, steps, anew=True) if plan is None else cost_of(plan, steps)
        planned.append(Planned(variation, plan, known))
    if len(planned) == 1:
        raise UsageError("there is no variation to try", hint="Name some: --sweep FILE.toml. " + " ".join(skipped))
    return baseline, planned, [*skipped, *unmeasured]


def _estimate(baseline: AuditPlan, planned: list[Planned], skipped: list[str], walk: Walk | None) -> DefenceEstimate:
    told = [one.told() for one in planned]
    wall = sum(one.cost.total.wall for one in planned)
    idle = sum(min(one.cost.total.processor, one.cost.total.wall) for one in planned)
    models = sum(one.to_train for one in told)
    talk(f"defend {baseline.name}: {len(planned) - 1} variations, {baseline.shadows} shadow models each")
    for one, row in zip(planned, told, strict=True):
        state = "is there" if row.to_train == 0 else f"{row.to_train} models, about {readable_time(row.seconds)}"
        talk(f"  {one.variation.title}: {state}")
    for sentence_ in skipped:
        talk(f"  not tried: {sentence_}")
    questions = 0 if walk is None else walk.questions(baseline.shadows)
    if walk is not None:
        talk(f"  walks to the boundary from {walk.samples:,} samples: up to {questions:,} questions to stored models")
    talk(f"  together {models} models to train, about {readable_time(wall)}; left alone {readable_time(idle)}")
    return DefenceEstimate(
        audit=baseline.name,
        variants=told,
        skipped=skipped,
        to_train=models,
        seconds=round(wall, 1),
        seconds_on_an_idle_machine=round(idle, 1),
        disk_bytes=sum(one.cost.disk_bytes for one in planned),
        questions=questions,
    )


def _audit_all(baseline: AuditPlan, planned: list[Planned]) -> tuple[list[Audited], int]:
    """Audit one after the other, the baseline first."""
    rows: list[Audited] = []
    trained = 0
    for number, one in enumerate(planned):
        variation, plan = one.variation, one.plan
        talk(f"[{number + 1}/{len(planned)}] {variation.title}")
        if plan is None:
            variation = leave_out_most_exposed(baseline, variation)
            plan = plan_variation(baseline, variation)
        if plan is None:
            continue
        scored, models = audit_variation(plan, own=number == 0)
        trained += models
        rows.append(audited(variation, plan, scored))
    return rows, trained


def _results(
    rows: list[Audited], outputs: OutputMeasures | None, skipped: list[str], max_accuracy_loss: float | None
) -> DefenceResults:
    """Hold every row against the first, correct for all of them together, and decide."""
    variants, outputs, tests = with_decisions([variant_of(row, rows[0]) for row in rows], outputs)
    decision = decide(variants, [] if outputs is None else outputs.measures, max_accuracy_loss)
    results = DefenceResults(
        audit=rows[0].scored.name,
        fpr=float(DECIDING_RATE),
        variants=[one.model_copy(update={"changes": _without_folders(one.changes)}) for one in variants],
        outputs=outputs,
        skipped=skipped,
        tests=tests,
        max_accuracy_loss=max_accuracy_loss,
        verdict=decision.verdict,
        recommended=decision.recommended,
        sentence="",
    )
    return results.model_copy(update={"sentence": sentence(results)})


def _without_folders(changes: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
    """The same with a list of ids by its name alone: a folder is its owner's business."""
    return {name: Path(str(value)).name if name == "without" else value for name, value in changes.items()}
