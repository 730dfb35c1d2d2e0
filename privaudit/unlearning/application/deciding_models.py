"""Who decides when an unlearning may stop: shadow models that did not teach, or the model's own answers for a class.

The judging half of the pairs decides nothing, so that what a report says of the result is no part of what made it. Of
the teaching half each sample has one teacher. The pairs that its teacher is not of decide about it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.attacks import lira
from privaudit.shadow.store import shadow_keys
from privaudit.shadow.trainer import signals_on
from privaudit.signals import signal
from privaudit.statistics.gaussian import RESOLUTION, log_density, moments_of, pooled_variance, variance_floor
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.base import Unlearner
from privaudit.unlearning.schedule.cycles import Decider, Exposure
from privaudit.unlearning.teachers import Teachers, split_pairs

#: Pairs that decide about a sample: with fewer, one of them left out leaves no variance.
FEWEST_PAIRS = 2

#: Standard errors within which a share is what never-seen samples show.
CHANCE = 1.96

#: Of a forgotten class, the share that may still be called by its name.
OF_CLASS = 0.02


def decider_of(problem: UnlearningProblem, unlearner: Unlearner) -> Decider | None:
    """Return who decides about this run; None where nobody can, so that its budget is fixed."""
    teachers = getattr(unlearner, "teachers", None)
    if not unlearner.cycles or not isinstance(teachers, Teachers):
        return None
    if not problem.forget.scattered:
        labels = problem.labels
        whole = not np.isin(labels[problem.retain], labels[problem.forget.rows]).any()
        return ClassAnswers(problem) if whole else None
    if (
        teachers.who is None
        or split_pairs(problem.bench.shadows, problem.bench.specification.seed).teaching.sum() // 2 <= FEWEST_PAIRS
    ):
        return None
    return DecidingModels(problem, teachers.who)


class ClassAnswers:
    """Of whole classes: a model that never saw a class does not answer it."""

    by = "the model's own answers: one that never saw a class does not answer it"

    def __init__(self, problem: UnlearningProblem) -> None:
        self._problem = problem

    def exposure(self, model: nn.Module) -> Exposure:
        """How far above the others the class stands."""
        rows = np.sort(self._problem.forget.rows)
        return Exposure(rows, margin_of(model, self._problem, rows), 0.0, OF_CLASS)


class DecidingModels:
    """LiRA's ratio by the pairs of the teaching half that a sample's teacher is not of.

    Parameters
    ----------
    problem
        Its forget set is scattered.
    who
        int64 ``[n]``: the shadow model that taught each forget sample, in ascending order of rows.
    """

    def __init__(self, problem: UnlearningProblem, who: npt.NDArray[np.int64]) -> None:
        bench, self._problem = problem.bench, problem
        self._rows = np.sort(problem.forget.rows)
        models = np.flatnonzero(split_pairs(bench.shadows, bench.specification.seed).teaching)
        keep = bench.keep()[models]
        keys = [shadow_keys(bench.shadows)[index] for index in models]
        stored = bench.store.read_signals(keys)[:, : keep.shape[1], 0]
        self._margin = signal(stored, "margin").astype(np.float64)
        used = np.ones(keep.shape, np.bool_)
        used[:, self._rows] = models[:, None] // 2 != who // 2
        self._sides = (keep & used, ~keep & used)
        ratio = lira.online(self._margin, keep, used=used)[:, self._rows]
        never_saw = self._sides[1][:, self._rows]
        self._expected = float(np.mean(ratio[never_saw] > 0))
        # Over samples, each with its models: these are not independent, samples nearly are.
        of_sample = np.where(never_saw, ratio > 0, 0).sum(axis=0) / never_saw.sum(axis=0)
        variance = self._expected * (1 - self._expected) + float(np.var(of_sample))
        self._within = CHANCE * float(np.sqrt(variance / len(self._rows)))
        self.by = (
            f"{len(models)} shadow models that do not judge, about each sample those of other pairs than its teacher's"
        )

    def exposure(self, model: nn.Module) -> Exposure:
        """LiRA's ratio of every forget sample."""
        x = np.zeros(self._margin.shape[1])
        x[self._rows] = margin_of(model, self._problem, self._rows)
        floor = np.maximum(variance_floor(self._margin), (RESOLUTION * x) ** 2)
        density = []
        for side in self._sides:
            moments = moments_of(self._margin, side)
            density.append(log_density(x, moments, pooled_variance(moments), floor))
        ratio = (density[0] - density[1])[self._rows]
        return Exposure(self._rows, ratio, self._expected, self._within)


def margin_of(model: nn.Module, problem: UnlearningProblem, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Margins of these rows; the model's modes stay as they are."""
    modes = [(module, module.training) for module in model.modules()]
    found = signal(signals_on(model, problem.pool, rows)[:, 0], "margin").astype(np.float64)
    for module, mode in modes:
        module.training = mode
    return found
