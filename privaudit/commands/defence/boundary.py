"""Labels alone, asked about many altered inputs: how far samples lie from the stored models' decision boundaries."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.attacks.label_only.boundary_distance import Points, boundary_distances
from privaudit.attacks.label_only.calibrated_distance import calibrated_distance
from privaudit.attacks.released_outputs import ALL, LABEL, Answers
from privaudit.audit.plan import AuditPlan
from privaudit.results.defence_results import BoundaryMeasure
from privaudit.results.measures import Attack
from privaudit.runtime.progress import progress
from privaudit.runtime.seeds import generator
from privaudit.shadow.trainer import load_model, one_thread
from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import performance
from privaudit.training.loop import Samples, logits_of

#: Inputs of the pool that walks may begin at, of all classes.
STARTS = 200

#: Scores ``[S, N]`` of a statistic and of who saw what.
Score = Callable[[FloatArray, npt.NDArray[np.bool_]], FloatArray]

#: What the attacks on the same samples are called, from the one that is told least.
ATTACKS = ("boundary distance", "boundary distance, fitted", "labels of altered copies", "margin")


@dataclass(frozen=True)
class Walk:
    """How many samples are walked from, and the most questions about each."""

    samples: int
    queries: int

    def questions(self, models: int) -> int:
        """The most that so many models are asked altogether."""
        return models * (STARTS + self.samples * self.queries)


def measure_boundary(
    plan: AuditPlan, keys: list[str], rows: npt.NDArray[np.int64], answers: Answers, walk: Walk
) -> BoundaryMeasure:
    """Walk from some of the attacked samples to each model's boundary, and attack what comes of it.

    Parameters
    ----------
    plan, keys
        The audit, and its models that are asked.
    rows, answers
        The pool's rows that were asked about, and what the models said of them: for the attacks beside it.
    walk
        How many of them are walked from, and how far.
    """
    begun = time.perf_counter()
    chosen = np.sort(generator(plan.settings.seed, "boundary-samples").permutation(len(rows))[: walk.samples])
    distances = _distances(plan, keys, rows[chosen], walk.queries)
    seconds = time.perf_counter() - begun
    keep = answers.keep[:, chosen]
    few = Answers(answers.logits[:, chosen], answers.right[:, chosen], answers.labels[chosen], keep)
    scores: dict[str, tuple[FloatArray, Score]] = {
        ATTACKS[0]: (distances, calibrated_distance),
        ATTACKS[1]: (distances, lira.online),
        ATTACKS[2]: (few.statistics(LABEL)[ATTACKS[2]], lira.online),
        ATTACKS[3]: (few.statistics(ALL)[ATTACKS[3]], lira.online),
    }
    return BoundaryMeasure(
        samples=len(chosen),
        queries=walk.queries,
        seconds=round(seconds, 1),
        attacks={name: _attacked(values, keep, attack) for name, (values, attack) in scores.items()},
    )


def _attacked(values: FloatArray, keep: npt.NDArray[np.bool_], attack: Score) -> Attack:
    clusters = np.broadcast_to((np.arange(len(keep)) // 2)[:, np.newaxis], keep.shape)
    refits = Refits(len(keep), lambda left: attack(values[left], keep[left]))
    left_out = ((scores, keep[left]) for left, scores in refits)
    return performance(attack(values, keep), keep, clusters, left_out).in_brief()


def _distances(plan: AuditPlan, keys: list[str], rows: npt.NDArray[np.int64], queries: int) -> FloatArray:
    """Distances of the pool's rows to the boundary of each model, ``[S, n]``."""
    space = _Space.of(plan)
    drawn = np.sort(generator(plan.settings.seed, "boundary-starts").permutation(len(plan.data))[:STARTS])
    samples, starts = space.points(plan.arrays.pool_inputs[rows]), space.points(plan.arrays.pool_inputs[drawn])
    labels, hardware = plan.arrays.pool_labels[rows], plan.specification.hardware
    distances = []
    with progress(f"walking to {len(keys)} boundaries", len(keys)) as bar, one_thread(hardware):
        for key in keys:
            model = load_model(plan.specification, plan.store.model(key))

            def answer(points: Points, asked: Any = model) -> npt.NDArray[np.int64]:
                inputs = Samples.from_arrays(space.inputs(points), np.zeros(len(points), np.int64), hardware.device)
                return np.asarray(logits_of(asked, inputs).argmax(axis=1))

            # Every model is asked with the same state, so that no model's distances hang on which others were asked.
            random = generator(plan.settings.seed, "boundary-directions")
            distances.append(boundary_distances(answer, samples, labels, starts, queries, random, space.bounds))
            bar.advance(1)
    return np.stack(distances)


@dataclass(frozen=True)
class _Space:
    """Where distances are measured: in deviations of each feature or channel, features that never vary left out.

    Parameters
    ----------
    shape, deviation
        Of an input, and of each of its numbers.
    varying
        Which of its numbers vary.
    still
        An input, for the numbers that do not.
    is_uint8
        Whether inputs are 8-bit: then points lie between black and white, and may lie between two of 256 steps.
    """

    shape: tuple[int, ...]
    deviation: npt.NDArray[np.float32]
    varying: npt.NDArray[np.bool_]
    still: npt.NDArray[np.float32]
    is_uint8: bool

    @classmethod
    def of(cls, plan: AuditPlan) -> _Space:
        pool = plan.arrays.pool_inputs
        deviation = np.asarray(plan.specification.statistics[1], np.float32)
        spread = np.broadcast_to(deviation, pool.shape[1:]).reshape(-1)
        is_uint8 = pool.dtype == np.uint8
        still = pool[0].reshape(-1).astype(np.float32) / (255 if is_uint8 else 1)
        # An image's channels have a deviation each; of a feature that never varies it is said to be 1.
        varying = (pool != pool[0]).any(axis=0) if pool.ndim == 2 else np.ones(len(spread), np.bool_)
        return cls(pool.shape[1:], spread, varying, still, is_uint8)

    @property
    def bounds(self) -> tuple[Points, Points] | None:
        """Black and white, of images."""
        if not self.is_uint8:
            return None
        white = np.asarray(1 / self.deviation[self.varying], np.float32)
        return np.zeros_like(white), white

    def points(self, inputs: npt.NDArray[Any]) -> Points:
        """Inputs ``[n, …]`` as points ``[n, d]``."""
        flat = inputs.reshape(len(inputs), -1)[:, self.varying].astype(np.float32)
        return flat / ((255 if self.is_uint8 else 1) * self.deviation[self.varying])

    def inputs(self, points: Points) -> npt.NDArray[np.float32]:
        """Points as inputs: of images floats on the 0–1 scale, which networks are given whatever the store holds."""
        flat = np.tile(self.still, (len(points), 1))
        flat[:, self.varying] = points * self.deviation[self.varying]
        return flat.reshape(len(points), *self.shape)
