"""`privaudit unlearn --compare-orders`: does the order matter, at one budget, over seeds?"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from privaudit.audit.result_files import spreadsheet_text
from privaudit.commands.unlearning.run_naming import decides_unlearning
from privaudit.commands.unlearning.unlearn_estimate import UnlearnEstimate, estimate_scenes
from privaudit.commands.unlearning.unlearn_inputs import OpenedAudit, opened
from privaudit.commands.unlearning.unlearn_request import (
    chosen_samples,
    request_of,
    shown_forget,
)
from privaudit.config import Sequencing, UnlearnSettings
from privaudit.errors import UsageError
from privaudit.report.write import render_report
from privaudit.results.base import write_result
from privaudit.results.unlearning.ledger import SequencingRecord
from privaudit.results.unlearning.plan import OrdersPlan, UnlearnCost
from privaudit.results.unlearning.trials import OrderAnswer, OrderResults
from privaudit.runtime import files
from privaudit.runtime.identity import Identity, slug
from privaudit.runtime.progress import readable_time, talk
from privaudit.shadow.store import TARGET
from privaudit.trials.order_comparison import (
    DO_NOTHING,
    ONE_SHOT,
    RANDOM_GROUPS,
    RETRAIN,
    REVERSE,
    compare,
    same_budget,
)
from privaudit.trials.run_trials import prepare_scene, run_trials
from privaudit.trials.treatment import FOLDER as TRIALS
from privaudit.trials.treatment import Scene, Treatment
from privaudit.unlearning.application.estimator_methods import demand_retraining
from privaudit.unlearning.application.method_choice import AUTO
from privaudit.unlearning.application.retrained_models import (
    LONGEST_RETRAINING,
    RetrainJob,
    expected_seconds,
    train_missing,
)
from privaudit.unlearning.application.run_method import Request
from privaudit.unlearning.application.teacher_models import check_applicable
from privaudit.unlearning.base import takes_order
from privaudit.unlearning.schedule.ordering import score_of

DEFAULT_SEEDS = 3
RESULTS = "results.json"
FOLDER = "compare-orders"


@dataclass(frozen=True)
class PlannedComparison:
    """A comparison before it is run.

    Parameters
    ----------
    settings, request
        As they were asked for; the arms differ from the request in order alone.
    scenes, trainings
        A scene a seed, and the models that they need.
    own_target
        Whether every seed has an original model of its own.
    folder
        Of the results; its name is the comparison's.
    cost
        None where everything is done.
    """

    settings: UnlearnSettings
    request: Request
    scenes: list[Scene]
    trainings: list[RetrainJob]
    own_target: bool
    folder: Path
    cost: UnlearnEstimate | None


def run_compare_orders(settings: UnlearnSettings, seeds: int) -> OrderAnswer:
    """Run every arm on every seed, or find what was done before; return what ``--json`` prints.

    Every seed has a forget set of its own and two retrained models of its own, and where training them all takes at
    most ten minutes an original model of its own (unless the target was given: then all unlearn from that).
    """
    settings = _with_method(settings)
    request = _checked(settings)
    with opened(settings, dry_run=False) as audit:
        planned = _planned(settings, request, audit, seeds)
        train_missing(planned.trainings, audit.plan)
        run_trials(planned.scenes, audit.plan)
        results = _results(planned)
        return OrderAnswer(**results, report=render_report(audit.out), folder=str(planned.folder))


def plan_compare_orders(settings: UnlearnSettings, seeds: int) -> OrdersPlan:
    """Return what ``unlearn --compare-orders --dry-run --json`` prints; nothing is trained, changed or written."""
    settings = _with_method(settings)
    request = _checked(settings)
    with opened(settings, dry_run=True) as audit:
        planned = _planned(settings, request, audit, seeds)
        return OrdersPlan(
            **(UnlearnCost() if planned.cost is None else planned.cost.result()),
            audit=audit.plan.name,
            comparison=planned.folder.name,
            is_there=planned.cost is None,
            method=request.method,
            seeds=seeds,
            forget=len(planned.scenes[0].forget.rows),
            trials=sum(len(scene.missing()) for scene in planned.scenes),
        )


def _with_method(settings: UnlearnSettings) -> UnlearnSettings:
    # The comparison needs a method that is handed samples, many times over: the paper's, and the cheapest.
    method = "ga" if settings.method == AUTO else settings.method
    return settings.changed(method=method)


def _planned(settings: UnlearnSettings, request: Request, audit: OpenedAudit, seeds: int) -> PlannedComparison:
    """Name a comparison, make its scenes, and say what it will cost."""
    plan = audit.plan
    demand_retraining(audit.bench, request.method)
    one = expected_seconds(plan, len(plan.data))
    if settings.reference == "auto" and one > LONGEST_RETRAINING:
        raise UsageError(
            f"a comparison needs {2 * seeds} retrained models, about {readable_time(one)} each",
            hint="--reference retrain to train them all the same.",
        )
    # A given target can't be made once more.
    own_target = one * seeds <= LONGEST_RETRAINING and not plan.is_given(TARGET)
    folder = audit.out / FOLDER / _name(settings, request, audit, own_target)
    scenes, trainings = [], []
    for seed in range(settings.seed, settings.seed + seeds):
        forget = chosen_samples(settings, audit, seed)
        check_applicable(request.method, forget, plan.shadows, request.parameters)
        score_of(audit.bench.table.iloc[forget.rows], request.sequencing.order)
        scene, needed = prepare_scene(plan, audit.bench, forget, seed, own_target, audit.out / TRIALS)
        scenes.append(replace(scene, treatments=tuple(arms_of(request).values())))
        trainings += needed
    talk(
        f"comparing orders of {request.method} over {seeds} seeds: {len(trainings)} models to train at about "
        f"{readable_time(one)} each, unless they are there; "
        + ("each seed has its own original model" if own_target else "all seeds unlearn from the audit's target")
    )
    cost = estimate_scenes(plan, scenes, trainings)
    for sentence in [] if cost is None else cost.sentences(is_exact=True):
        talk(f"  {sentence}")
    return PlannedComparison(settings, request, scenes, trainings, own_target, folder, cost)


def _checked(settings: UnlearnSettings) -> Request:
    # At the settings as they are: a guard would spend another budget in one arm than in another.
    request = request_of(settings.changed(guard="off"))
    if request is None or not takes_order(request.method):
        raise UsageError(
            f"--compare-orders with --method {settings.method}: it is handed no forget samples one after another",
            hint="Compare orders of ga, rl, neggrad-plus, bad-teacher, …",
        )
    if request.sequencing.order in ("none", "random"):
        raise UsageError(
            f"--compare-orders --order {request.sequencing.order}: that is one of the arms which an order is compared "
            "with",
            hint="For example --order risk.",
        )
    if request.sequencing.pace == "self-paced" or request.sequencing.budget != "matched":
        raise UsageError(
            "--compare-orders compares at one budget: --pace self-paced and --budget per-stage spend another",
            hint="Leave them out.",
        )
    if settings.from_ is not None:
        raise UsageError(
            "--compare-orders does not take --from: every arm begins with a model that has forgotten nobody",
            hint="Leave it out.",
        )
    for flag, given in (("--tune", settings.tune), ("--u-lira", settings.u_lira is not None)):
        if given:
            raise UsageError(
                f"--compare-orders does not take {flag}",
                hint="Give every arm the same parameters: --learning-rate, --passes, --parameter.",
            )
    if settings.reference == "shadow":
        raise UsageError(
            "--compare-orders is measured in ToW, which needs retrained models", hint="--reference retrain"
        )
    return request


def arms_of(request: Request) -> dict[str, Treatment]:
    """Every arm by name: what is done, and how the forget set is handed over."""
    ordered = request.sequencing
    static = ordered.changed(rerank="static", descending=False)

    def handed(sequencing: Sequencing) -> Treatment:
        return Treatment(replace(request, sequencing=sequencing))

    return {
        DO_NOTHING: Treatment(DO_NOTHING),
        ONE_SHOT: handed(static.changed(order="none")),
        RANDOM_GROUPS: handed(static.changed(order="random")),
        REVERSE: handed(ordered.changed(descending=not ordered.descending)),
        arm_name(ordered): handed(ordered),
        RETRAIN: Treatment(RETRAIN),
    }


def arm_name(sequencing: Sequencing) -> str:
    """What the ordered arm is called."""
    return sequencing.order + ("-descending" if sequencing.descending else "")


def _results(planned: PlannedComparison) -> OrderResults:
    """Read the trials of every scene, compare them, and write both down."""
    settings, request, scenes, folder = planned.settings, planned.request, planned.scenes, planned.folder
    runs = pd.DataFrame(
        [
            {"arm": name, **scene.results(treatment).row()}
            for scene in scenes
            for name, treatment in arms_of(request).items()
        ]
    )
    results = OrderResults(
        **compare(runs, arm_name(request.sequencing)),
        audit=scenes[0].bench.store.audit,
        comparison=folder.name,
        method=request.method,
        order=request.sequencing.order,
        descending=request.sequencing.descending,
        parameters=asdict(request.parameters),
        sequencing=SequencingRecord.model_validate(request.sequencing.to_json()),
        forget=len(scenes[0].forget.rows),
        forget_specification=shown_forget(settings.forget),
        seed=settings.seed,
        own_target=planned.own_target,
        same_forget_set=len({scene.forget.rows.tobytes() for scene in scenes}) == 1,
        same_budget=same_budget(runs),
    )
    files.write_text(folder / "runs.csv", spreadsheet_text(runs))
    files.seal(folder / "runs.csv")
    write_result(folder / RESULTS, results)
    return results


def _name(settings: UnlearnSettings, request: Request, audit: OpenedAudit, own_target: bool) -> str:
    """Return a name with 8 digits of the hash of what changes an arm's results; the number of seeds does not."""
    identity = Identity.of(
        **decides_unlearning(audit.bench),
        method=request.method,
        parameters=asdict(request.parameters),
        sequencing=request.sequencing.to_json(),
        forget=chosen_samples(settings, audit).rows.tolist(),
        seed=settings.seed,
        own_target=own_target,
    )
    forgotten = slug(settings.forget.lower().split("ids:")[0]) or "ids"
    return identity.named(request.method, arm_name(request.sequencing), forgotten)
