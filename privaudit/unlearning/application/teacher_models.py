"""Where the teachers of `shadow-teacher` come from: shadow models, the original without a class, or new ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.errors import EvidenceError, UsageError
from privaudit.runtime.seeds import generator
from privaudit.shadow.trainer import train_with_new_seeds
from privaudit.unlearning.application.nearest_retained import nearest_retained
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.base import UNLEARNERS
from privaudit.unlearning.parameters import Parameters
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.teachers import Teachers, average, split_pairs, teachers_of
from privaudit.unlearning.without_classes import mixed, own_answers, share_left

FRESH = "--parameter fresh_teachers=2 trains teachers that exclude the forget set, and counts their cost."


def why_no_teachers(forget: ForgetSet, shadows: int, parameters: Parameters) -> str | None:
    """Why nothing can teach this forget set; None where something can."""
    if getattr(parameters, "fresh_teachers", 0):
        return None
    try:
        split_pairs(shadows, 0)
    except EvidenceError as error:
        return error.message
    return None


def check_applicable(method: str, forget: ForgetSet, shadows: int, parameters: Parameters) -> None:
    """Raise `UsageError` where the method needs teachers and there are none: before anything is trained."""
    if UNLEARNERS.load(method).needs_teachers and (why := why_no_teachers(forget, shadows, parameters)):
        raise UsageError(f"{method} is not applicable: {why}", hint=FRESH)


def make_teachers(
    problem: UnlearningProblem, original: nn.Module, parameters: Parameters, seed: int
) -> tuple[Teachers, bool]:
    """Make the teachers of a forget set, and tell whether shadow models of the audit are among them.

    Parameters
    ----------
    problem
        Shadow models are split by the audit's seed, so that the same ones judge whatever is unlearned.
    original
        The model that is to unlearn, before its first step.
    parameters
        Of the method: where they ask for ``fresh_teachers`` those are trained, by the target's recipe, on random
        shares of D_r, and on what of it lies nearest to D_u.
    seed
        Of the run: decides fresh teachers.
    """
    bench, forget, pool, labels = problem.bench, problem.forget, problem.pool, problem.labels
    if fresh := int(getattr(parameters, "fresh_teachers", 0)):
        return _trained(problem, fresh, parameters, seed), False
    left = share_left(labels, forget.rows, problem.retain, bench.specification.classes)
    asked = forget.scattered or bool((left[labels[forget.rows]] > 0).any())
    shadow = None
    if asked:
        keep = bench.keep()
        pairs = split_pairs(len(keep), bench.specification.seed)
        shadow = teachers_of(
            bench.store, bench.specification, pool, forget.rows, keep, pairs, int(getattr(parameters, "neighbours", 0))
        )
    if shadow is not None and forget.scattered:
        return shadow, True
    return mixed(own_answers(original, pool, forget.rows, left), shadow, left, labels), asked


def _trained(problem: UnlearningProblem, models: int, parameters: Parameters, seed: int) -> Teachers:
    """Train models that never saw D_u, each on its own random share of D_r and on D_u's nearest there, and ask them."""
    specification, retain, samples = problem.bench.specification, problem.retain, problem.pool
    # No network with BatchNorm trains on one.
    size = max(2, round(float(getattr(parameters, "fresh_share", 1.0)) * len(retain)))
    count = round(float(getattr(parameters, "fresh_near", 0.0)) * len(retain))
    near = nearest_retained(samples, problem.forget.rows, retain, count)
    rows = np.sort(problem.forget.rows)
    gradients = []

    def asked() -> Iterator[tuple[nn.Module, npt.NDArray[np.bool_]]]:
        for number in range(models):
            chosen = np.union1d(generator(seed, "fresh-teacher", number).permutation(retain)[:size], near)
            model, record, _ = train_with_new_seeds(specification, samples, chosen, ("fresh-teacher", seed, number))
            gradients.append(record.gradients)
            yield model, np.ones(len(rows), np.bool_)

    teachers = average(asked(), samples, rows, specification.classes)
    # No shadow models: nobody of the audit taught, so nobody of it can decide without judging too.
    return replace(teachers, trained_samples=sum(gradients), who=None)
