"""`privaudit reproduce --dry-run`: what experiments will cost, from a few steps of training and of questions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from privaudit.artifacts import RETRAINED
from privaudit.audit.cost.stopwatch import Cost, measure_here
from privaudit.audit.plan import AuditPlan, plan_audit
from privaudit.commands.score import dry_run
from privaudit.commands.unlearning.unlearn_estimate import Speed, relearning
from privaudit.reproduction.claims.arms import ARMS, arms_of
from privaudit.reproduction.claims.experiment import CLASSES, TENTH, TUNING_SEEDS, Experiment
from privaudit.reproduction.claims.experiment_size import Scale
from privaudit.reproduction.claims.sample_groups import PARTS, group_size
from privaudit.results.reproduction_results import ReproductionEstimate
from privaudit.runtime.progress import readable_time, talk
from privaudit.trials.treatment import FOLDER
from privaudit.trials.tuning import TRIALS
from privaudit.unlearning.base import UNLEARNERS

#: Seconds of a core for what a trial is measured by besides asking its model, the fitting of MIA-efficacy above all.
JUDGING_SECONDS = 0.5

#: A random tenth, and a tenth of the classes.
TENTHS = {TENTH, CLASSES}

#: Retained samples that a method looks at for each pass, as a share of all; the others, all of them.
RETAINED_A_PASS = {"ga": 0.0, "bad-teacher": 0.3}


@dataclass(frozen=True)
class Counted:
    """What experiments on one audit are made of.

    Parameters
    ----------
    models
        Trainings besides the audit's: originals, and two without each forget set.
    trials, tuning
        Treatments that are judged, and those among them that choose parameters.
    gradients
        Samples that the methods take a gradient of, in all trials.
    relearned
        Trials that are relearned too, by the size of their forget set.
    """

    models: int
    trials: int
    tuning: int
    gradients: float
    relearned: Counter[int]


def count_work(experiments: Sequence[Experiment], scale: Scale, seeds: int, samples: int, epochs: int) -> Counted:
    """Count models, trials and gradients, as if nothing were there: what several experiments need is made once."""
    cells = {
        (name, method, arm)
        for one in experiments
        for name in one.sets
        for method in one.methods
        for arm in arms_of(one, method, all_budgets=scale.all_budgets)
    }
    relearn = {name for one in experiments if one.relearn for name in one.sets}
    sets = dict.fromkeys(name for name, _, _ in cells)
    tuned = scale.tuned
    sources = {cell for cell in cells if tuned and ARMS[cell[2]].tuned == "own"}
    sources |= {(name, method, "one-shot, best settings") for name, method, arm in cells if tuned and _is_lent(arm)}
    tuned_sets = {name for name, _, _ in sources}
    tries = {cell: TRIALS * len(TUNING_SEEDS) for cell in sources}
    gradients = 0.0
    for (name, method, arm), times in [*((cell, seeds) for cell in cells), *tries.items()]:
        gradients += times * _gradients(method, arm, _size(name, samples), samples, epochs)
    # Besides what unlearns, doing nothing and the second retrained model are judged.
    judged = seeds * (len(cells) + 2 * len(sets))
    relearned: Counter[int] = Counter()
    for name in relearn & set(sets):
        of_set = sum(cell[0] == name for cell in cells) + 2
        relearned[_size(name, samples)] += seeds * of_set
    answered_by_scores = any(not one.methods and one.name != "figure1" for one in experiments)
    models = seeds * (2 * len(sets) + 1) if sets else seeds * answered_by_scores
    models += len(TUNING_SEEDS) * (2 * len(tuned_sets) + bool(tuned_sets))
    return Counted(models, judged + sum(tries.values()), sum(tries.values()), gradients, relearned)


def estimate_reproduction(
    plan: AuditPlan, experiments: Sequence[Experiment], scale: Scale, seeds: int
) -> ReproductionEstimate:
    """Measure a few steps, multiply, and take off what is there already."""
    audit = dry_run(plan.settings)
    plan = plan_audit(plan.settings)
    samples, workers = len(plan.data), plan.workers
    counted = count_work(experiments, scale, seeds, samples, plan.specification.recipe.epochs)
    talk("  measuring a few steps")
    training, querying = measure_here(plan)
    # Files of other experiments on this audit are counted with them: what is left is at least so much.
    models = max(0, counted.models - len(RETRAINED.within(plan.store.folder)))
    trials = max(0, counted.trials - len([*(plan.settings.out / plan.name / FOLDER).glob("*/*.json")]))
    one_model = training * (samples * plan.specification.recipe.epochs)
    judging = querying * (samples + len(plan.arrays.test_labels)) + Cost(JUDGING_SECONDS, JUDGING_SECONDS)
    share = trials / counted.trials if counted.trials else 0.0
    relearned = Cost(0.0, 0.0)
    for forget, times in counted.relearned.items():
        relearned += relearning(Speed(training, querying, relearned), forget) * times
    of_trials = (training * counted.gradients + relearned) * share + judging * trials
    own = (one_model * models + of_trials) * (1 / workers)
    return ReproductionEstimate(
        audit=plan.name,
        scale=scale.name,
        seeds=seeds,
        experiments=tuple(one.name for one in experiments),
        samples=samples,
        to_train=audit.to_train + models,
        trials=trials,
        tuning_trials=counted.tuning,
        audit_seconds=audit.seconds,
        model_seconds=round((one_model * (models / workers)).wall, 1),
        trial_seconds=round((of_trials * (1 / workers)).wall, 1),
        seconds=round(audit.seconds + own.wall, 1),
        seconds_on_an_idle_machine=round(audit.seconds_on_an_idle_machine + own.processor, 1),
        core_seconds=round(audit.seconds_on_an_idle_machine * workers + own.processor * workers, 1),
    )


def sentences(found: ReproductionEstimate) -> list[str]:
    """For people."""

    def about(seconds: float) -> str:
        return readable_time(math.ceil(seconds))

    return [
        f"{', '.join(found.experiments)} at --scale {found.scale}, {found.seeds} seeds, {found.samples:,} samples",
        f"the audit about {about(found.audit_seconds)}; {found.to_train} models to train in all, those of the seeds "
        f"about {about(found.model_seconds)}; {found.trials} trials ({found.tuning_trials} of them tuning) about "
        f"{about(found.trial_seconds)}",
        f"together about {about(found.seconds)}, left alone {about(found.seconds_on_an_idle_machine)}: "
        f"{found.core_seconds / 3600:.1f} hours of a core; a run that is stopped goes on where it was",
    ]


def _is_lent(arm: str) -> bool:
    return ARMS[arm].tuned == "one-shot"


def _size(name: str, samples: int) -> int:
    """How many samples a set has, about."""
    return max(1, samples // 10) if name in TENTHS else group_size(samples // PARTS)


def _gradients(method: str, arm: str, forget: int, samples: int, epochs: int) -> float:
    """Samples that a method takes a gradient of in an arm, about: forgotten and retained ones."""
    parameters, stages = UNLEARNERS.load(method).defaults, ARMS[arm].budget == "per-stage"
    effort = getattr(parameters, "effort", None)
    if effort is not None:
        return float(effort * epochs * samples)
    passes = parameters.passes * ARMS[arm].passes * (3 if stages else 1)
    handed = forget if UNLEARNERS.load(method).takes_forget_steps else 0
    return float(passes * (handed + RETAINED_A_PASS.get(method, 1.0) * (samples - forget)))
