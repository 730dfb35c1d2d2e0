"""`--tune`: try a few parameters of a method on a held-out forget set, and take the best to the real one.

The held-out set H is drawn from D_r and disjoint from D_u, of the same kind and size; the reference is a model that is
retrained without H, and test accuracy is measured on the validation half. So neither the forget set that is reported on
nor the test half that is reported on has a say. Every method gets the same number of trials.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.audit.plan import AuditPlan
from privaudit.errors import UsageError
from privaudit.evaluation.measures.utility import accuracy, tug_of_war
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import generator
from privaudit.scoring.target_audit import split_test
from privaudit.shadow.store import TARGET
from privaudit.shadow.trainer import load_model, one_thread, signals_on
from privaudit.signals import signal
from privaudit.training.loop import Samples
from privaudit.unlearning.application.retrained_models import retrained_models
from privaudit.unlearning.base import Unlearner
from privaudit.unlearning.parameters import Parameters, with_changes
from privaudit.unlearning.requests.forget_set import ForgetSet

#: As many for every method: a comparison of methods that were tuned with different effort compares the effort.
TRIALS = 6

#: Unlearns a model from a forget set: (model, forget, retain, parameters) → what stopped it, or None.
Unlearn = Callable[[nn.Module, ForgetSet, npt.NDArray[np.int64], Parameters], str | None]


@dataclass(frozen=True)
class Trial:
    """Parameters that were tried, and what came of it."""

    parameters: dict[str, float]
    accuracy: dict[str, float]
    tow: float
    seconds: float
    stopped: str | None


class Tuned(NamedTuple):
    """The parameters to go on with, and everything that led to them, for the results."""

    parameters: Parameters
    record: dict[str, Any]


def tune(
    plan: AuditPlan,
    method: type[Unlearner],
    parameters: Parameters,
    given: set[str],
    forget: ForgetSet,
    seed: int,
    unlearn: Unlearn,
) -> Tuned:
    """Try every combination of the method's search space from the original model on; take the highest ToW.

    Parameters
    ----------
    parameters
        Those that are not searched stay as they are here.
    given
        Names of parameters that were asked for by value: they are not searched.
    forget
        The real forget set, which is left alone.
    seed
        Draws the held-out forget set, and decides the retrained model.
    unlearn
        Runs the method once on a model.
    """
    combinations = list(candidates(method, given))
    held_out = held_out_set(plan.data.y_train, forget, seed)
    retain = np.setdiff1d(np.arange(len(plan.data)), held_out.rows)
    start = time.perf_counter()
    talk(f"  tuning: {len(combinations)} trials on {len(held_out.rows):,} held-out samples")
    paths, _ = retrained_models(plan, held_out, retain, reference="retrain", seed=seed, is_method=False)
    specification = plan.specification
    pool = Samples.from_arrays(plan.arrays.pool_inputs, plan.arrays.pool_labels, specification.hardware.device)
    test = Samples.from_arrays(plan.arrays.test_inputs, plan.arrays.test_labels, specification.hardware.device)
    validation, _ = split_test(len(test), plan.settings.seed)

    def accuracies(model: nn.Module) -> dict[str, float]:
        parts = {"forget": (pool, held_out.rows), "retain": (pool, retain), "test": (test, validation)}
        return {
            name: accuracy(signal(signals_on(model, samples, rows)[:, 0], "margin"))
            for name, (samples, rows) in parts.items()
        }

    trials = []
    with one_thread(specification.hardware):
        reference = accuracies(load_model(specification, paths[0]))
        original = accuracies(load_model(specification, plan.store.model(TARGET)))
        for changes in combinations:
            model = load_model(specification, plan.store.model(TARGET))
            began = time.perf_counter()
            stopped = unlearn(model, held_out, retain, with_changes(parameters, changes))
            seconds = time.perf_counter() - began
            found = accuracies(model)
            trials.append(Trial(changes, found, tug_of_war(found, reference), round(seconds, 3), stopped))
            talk(f"    {_shown(changes)}: ToW {trials[-1].tow:.3f}" + (" (stopped)" if stopped else ""))
    best = max(trials, key=lambda trial: trial.tow)
    talk(f"  chosen: {_shown(best.parameters)}")
    record = {
        "criterion": "ToW of a held-out forget set against a model retrained without it, its test accuracy on the "
        "validation half",
        "held_out": len(held_out.rows),
        "reference": reference,
        "tow_do_nothing": tug_of_war(original, reference),
        "trials": [asdict(trial) for trial in trials],
        "chosen": best.parameters,
        "seconds": round(time.perf_counter() - start, 3),
    }
    return Tuned(with_changes(parameters, best.parameters), record)


def candidates(method: type[Unlearner], given: set[str]) -> list[dict[str, float]]:
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


def _shown(changes: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in changes.items())
