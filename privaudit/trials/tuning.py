"""`--tune`: try a few parameters of a method on a held-out forget set, and take the best to the real one.

The held-out set H is drawn from D_r and disjoint from D_u, of the same kind and size; the reference is a model that is
retrained without H, and test accuracy is measured on the validation half. So neither the forget set that is reported on
nor the test half that is reported on has a say. Every method gets the same number of trials.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from privaudit.audit.plan import AuditPlan
from privaudit.config import Sequencing
from privaudit.errors import UsageError
from privaudit.evaluation.answers import validation_accuracies
from privaudit.evaluation.measures.utility import tug_of_war
from privaudit.results.unlearning.run import Tuning, TuningTrial
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import generator
from privaudit.shadow.trainer import one_thread
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.retrained_models import retrained_models
from privaudit.unlearning.application.run_method import Request, run_method
from privaudit.unlearning.base import UNLEARNERS, Unlearner
from privaudit.unlearning.parameters import with_changes
from privaudit.unlearning.requests.forget_set import ForgetSet

#: As many for every method: a comparison of methods that were tuned with different effort compares the effort.
TRIALS = 6

CRITERION = (
    "ToW of a held-out forget set against a model retrained without it, its test accuracy on the validation half"
)


def tune(
    plan: AuditPlan, problem: UnlearningProblem, request: Request, given: frozenset[str]
) -> tuple[Request, Tuning]:
    """Try every combination of the method's search space, all of the forget set at once; take the highest ToW.

    Parameters
    ----------
    plan
        Of the audit, for what has to be trained.
    problem
        The real one, whose forget set is left alone. Its seed draws the held-out one, and decides the retrained model.
    request
        Parameters that are not searched stay as they are here.
    given
        Names of parameters that were asked for by value: they are not searched.

    Returns
    -------
    tuple
        The request to go on with, and everything that led to it.
    """
    combinations = list(candidates(UNLEARNERS.load(request.method), given))
    held_out = held_out_set(plan.data.y_train, problem.forget, problem.seed)
    start = time.perf_counter()
    talk(f"  tuning: {len(combinations)} trials on {len(held_out.rows):,} held-out samples")
    paths, _ = retrained_models(plan, held_out, "retrain", problem.seed)
    problem = replace(problem, forget=held_out, retain=problem.bench.without(held_out.rows))
    one_shot = replace(request, sequencing=Sequencing(order="none"), guard=False)
    trials = []
    with one_thread(plan.specification.hardware):
        reference = validation_accuracies(problem, problem.load(paths[0]))
        original = validation_accuracies(problem, problem.load())
        for changes in combinations:
            began = time.perf_counter()
            model, run = run_method(problem, replace(one_shot, parameters=with_changes(request.parameters, changes)))
            seconds = time.perf_counter() - began
            accuracy, stopped = validation_accuracies(problem, model), run.ledger.stopped
            trials.append(
                TuningTrial(
                    parameters=changes,
                    accuracy=accuracy,
                    tow=tug_of_war(accuracy, reference),
                    seconds=round(seconds, 3),
                    stopped=stopped,
                )
            )
            talk(f"    {_shown(changes)}: ToW {trials[-1].tow:.3f}" + (" (stopped)" if stopped else ""))
    best = max(trials, key=lambda trial: trial.tow)
    talk(f"  chosen: {_shown(best.parameters)}")
    record = Tuning(
        criterion=CRITERION,
        held_out=len(held_out.rows),
        reference=reference,
        tow_do_nothing=tug_of_war(original, reference),
        trials=tuple(trials),
        chosen=best.parameters,
        seconds=round(time.perf_counter() - start, 3),
    )
    return replace(request, parameters=with_changes(request.parameters, best.parameters)), record


def candidates(method: type[Unlearner], given: AbstractSet[str]) -> list[dict[str, float]]:
    """Every combination of what the method searches, without the parameters that were given by value.

    Raises
    ------
    UsageError
        Where nothing is left to search.
    """
    space = {name: values for name, values in method.search.items() if name not in given}
    if not space:
        raise UsageError(
            "--tune has nothing to search: every parameter that it would try was given"
            if method.search
            else f"--tune: {method.__name__} names no parameters to search",
            hint=f"It would try: {', '.join(method.search) or 'nothing'}.",
        )
    found = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    if len(found) > TRIALS:
        raise UsageError(f"{method.__name__}.search makes {len(found)} trials: every method has {TRIALS}")
    return found


def held_out_set(labels: npt.NDArray[np.int64], forget: ForgetSet, seed: int) -> ForgetSet:
    """Draw a forget set of the same kind and about the same size from D_r: scattered samples, or whole classes.

    Raises
    ------
    UsageError
        Where D_r is too small to hold one out.
    """
    random = generator(seed, "held-out-forget-set")
    retain = np.setdiff1d(np.arange(len(labels)), forget.rows)
    if forget.scattered:
        # At most half: there must be something to be retained.
        size = min(len(forget.rows), len(retain) // 2)
        rows = random.permutation(retain)[:size]
    else:
        lost = labels[forget.rows]
        whole = [label for label in np.unique(labels) if not np.any(lost == label)]
        wanted = max(1, min(len(np.unique(lost)), len(whole) - 1))
        rows = np.flatnonzero(np.isin(labels, random.permutation(whole)[:wanted])) if len(whole) > 1 else retain[:0]
    if len(rows) == 0:
        raise UsageError("--tune: too little would be retained to hold a second forget set out of it")
    return ForgetSet(np.sort(rows).astype(np.int64), forget.scattered)


def _shown(changes: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in changes.items())
