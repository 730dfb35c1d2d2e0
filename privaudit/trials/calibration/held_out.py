"""Forget sets to calibrate with: of the same kind and about the same size as a request's, drawn from D_r."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.results.unlearning.calibration import ForgetSetKind
from privaudit.runtime.seeds import generator
from privaudit.trials.calibration.kind import RISK, distances, memorised, space_of
from privaudit.unlearning.application.problem import Bench, UnlearningProblem
from privaudit.unlearning.requests.forget_set import ForgetSet

Rows = npt.NDArray[np.int64]

#: Clusters that are looked at for one that is memorised as much as the request's.
MIDDLES = 30

#: Held-out sets of which less than this share of what is memorised of the request's is memorised are not like it.
LIKE = 0.5

#: Less than this of what is said of a request's being memorised, it is next to nothing, and others are like it.
LITTLE = 0.05

#: Draws of a set that is to be memorised as much as the request's, from the least memorised to the most.
DRAWS, STEEPEST = 33, 8.0

#: Sets in all, and the largest share of D_r that one of them may be.
SETS, MOST = 2, 0.25


def held_out_sets(problem: UnlearningProblem, model: nn.Module, kind: ForgetSetKind) -> list[ForgetSet]:
    """Draw `SETS` disjoint forget sets from D_r by the audit's seed; fewer where D_r has not enough."""
    if kind.name == "class":
        return _classes(problem, kind)
    retain, labels = problem.retain, problem.labels
    size = max(1, min(kind.size, int(MOST * len(retain))))
    random = generator(problem.bench.seed, "calibration", kind.name, kind.by or "", size)
    if kind.name != "concentrated":
        left, found = retain, []
        for _ in range(SETS):
            found.append(_set(_as_memorised(problem.bench, left, size, kind.memorised, random)))
            left = np.setdiff1d(left, found[-1].rows)
        return found
    if kind.by == RISK:
        risk = problem.bench.table["risk"].to_numpy()[retain]
        # Dealt at random, so that both are as risky.
        drawn = random.permutation(retain[np.argsort(-risk, kind="stable")[: SETS * size]])
        return [_set(drawn[number::SETS]) for number in range(SETS)]
    points = space_of(str(kind.by), problem.pool, model)
    left, found = retain, []
    for _ in range(SETS):
        clusters = []
        for middle in random.permutation(left)[:MIDDLES]:
            near = left[labels[left] == labels[middle]] if kind.one_class else left
            # A class must not go, or the kind would be another.
            most = size if not kind.one_class else min(size, len(near) // 2)
            distance = distances(points, np.array([middle]))[0][near]
            clusters.append(near[np.argsort(distance, kind="stable")[: max(1, most)]])
        off = [abs(memorised(problem.bench, rows) - (kind.memorised or 0.0)) for rows in clusters]
        found.append(_set(clusters[int(np.argmin(off))]))
        left = np.setdiff1d(left, found[-1].rows)
    return found


def _as_memorised(bench: Bench, left: Rows, size: int, level: float | None, random: np.random.Generator) -> Rows:
    """Draw so many at random; at a given level, of many draws that whose mean memorisation is nearest to it."""
    if level is None:
        return random.permutation(left)[:size]
    known = np.nan_to_num(bench.table["memorisation"].to_numpy(np.float64)[left])
    drawn = []
    for slope in np.linspace(-STEEPEST, STEEPEST, DRAWS):
        # Without replacement, by weights exp(slope × memorisation): the largest logarithms with Gumbel noise.
        drawn.append(left[np.argsort(-(slope * known + random.gumbel(size=len(left))), kind="stable")[:size]])
    return drawn[int(np.argmin([abs(memorised(bench, rows) - level) for rows in drawn]))]


def unlike(problem: UnlearningProblem, kind: ForgetSetKind, sets: list[ForgetSet]) -> str | None:
    """Return why held-out sets can't stand for the request's: they are memorised far less; None where they can.

    Beside the riskiest there are only less risky ones, and a cluster may be the only one with wrong labels: what serves
    the others may leave the request's as they are.
    """
    asked = memorised(problem.bench, problem.forget.rows)
    if kind.name == "class" or not sets or asked < LITTLE:
        return None
    held = float(np.mean([memorised(problem.bench, one.rows) for one in sets]))
    if held >= LIKE * asked:
        return None
    others = "the next riskiest" if kind.by == RISK else "the likest that could be held out"
    return (
        f"since no samples are as exposed as the request's: {asked:.2f} of what the model says of those is memorised, "
        f"and {held:.2f} of what it says of {others}, on which trials would tell nothing"
    )


def _classes(problem: UnlearningProblem, kind: ForgetSetKind) -> list[ForgetSet]:
    # Behind the training samples lie canaries, which are nobody's to forget.
    labels = problem.labels[: len(problem.bench.table)]
    there = np.flatnonzero(np.bincount(labels))
    # None of the request's own samples may help to choose its method.
    whole = np.setdiff1d(there, np.unique(labels[problem.forget.rows]))
    drawn = generator(problem.bench.seed, "calibration", "class", kind.size).permutation(whole)
    # At least two classes must be left to tell apart.
    size = min(kind.size, len(there) - 2, len(drawn))
    parts = [drawn[number * size : (number + 1) * size] for number in range(SETS)] if size > 0 else []
    return [_set(np.flatnonzero(np.isin(labels, part)), scattered=False) for part in parts if len(part) == size]


def _set(rows: Rows, *, scattered: bool = True) -> ForgetSet:
    return ForgetSet(np.sort(rows).astype(np.int64), scattered)
