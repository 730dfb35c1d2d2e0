"""How long training will take, from a few steps of the real network on the real data."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from privaudit.errors import TrainingDiverged
from privaudit.progress import readable_time
from privaudit.shadow.trainer import ModelSpecification, TrainingJob, one_thread
from privaudit.statistics.roc import FEWEST_FALSE_POSITIVES
from privaudit.training.loop import Samples, logits_of, train
from privaudit.training.own import load_training, train_by_function
from privaudit.workflow.plan import AuditPlan

ENOUGH_SECONDS = 0.5


@dataclass(frozen=True)
class Speed:
    """Seconds per sample on one worker."""

    training: float
    querying: float


def measure_speed(specification: ModelSpecification, plan: AuditPlan) -> Speed:
    """Time a few training steps and queries, after one to warm up."""
    if specification.training is not None:
        return _speed_of_function(specification.training, specification, plan)
    hardware, recipe = specification.hardware, specification.recipe
    # At a rate this low no step can diverge, whatever recipe was asked for.
    few = recipe.model_copy(
        update={"epochs": 1, "batch_size": min(recipe.batch_size, 32, len(plan.data)), "learning_rate": 1e-9}
    )
    size = min(len(plan.data), 4096)
    pool = Samples.from_arrays(plan.arrays.pool_inputs[:size], plan.arrays.pool_labels[:size], hardware.device)
    with one_thread(hardware):
        model = specification.build("speed")
        train(model, pool, np.arange(min(16, size)), few, 0, hardware)
        rows = min(size, 32)
        while True:
            seconds = train(model, pool, np.arange(rows), few, 0, hardware).seconds
            if seconds > ENOUGH_SECONDS or rows >= size:
                break
            rows = min(size, rows * max(2, min(8, int(ENOUGH_SECONDS / max(seconds, 1e-3)) + 1)))
            few = few.model_copy(update={"batch_size": min(recipe.batch_size, rows)})
        start = time.perf_counter()
        queried = min(size, rows)
        logits_of(model, pool, np.arange(queried))
        return Speed(seconds / rows, (time.perf_counter() - start) / queried)


def _speed_of_function(training: str, specification: ModelSpecification, plan: AuditPlan) -> Speed:
    """Let the user's function train a model on few samples, then on more, until that takes long enough to be told.

    What fails in it fails here, before hours of work. Spread over the recipe's epochs, in which work is counted.
    """
    hardware, size, function = specification.hardware, len(plan.data), load_training(training)
    rows = min(size, 32)
    while True:
        # Evenly spaced: the data may be sorted by class.
        picked = np.arange(rows) * size // rows
        few = Samples.from_arrays(plan.arrays.pool_inputs[picked], plan.arrays.pool_labels[picked], hardware.device)
        model = specification.build("speed")
        with one_thread(hardware):
            start = time.perf_counter()
            with suppress(TrainingDiverged):
                train_by_function(function, training, model, few, np.arange(rows), 0, hardware)
            seconds = time.perf_counter() - start
            if seconds > ENOUGH_SECONDS or rows == size:
                start = time.perf_counter()
                logits_of(model, few)
                asking = time.perf_counter() - start
                return Speed(seconds / (rows * specification.recipe.epochs), asking / rows)
        rows = min(size, 4 * rows)


@dataclass(frozen=True)
class Estimate:
    """What an audit will cost, and the finest question that its size can answer."""

    models: int
    seconds: float
    disk_bytes: int
    smallest_fpr: float

    def sentence(self) -> str:
        """For people."""
        return (
            f"{self.models} models to train, about {readable_time(self.seconds)}, "
            f"{self.disk_bytes / 1e6:,.0f} MB of disk; the smallest false positive rate that this size "
            f"resolves is {self.smallest_fpr:.2g}"
        )


def estimate(plan: AuditPlan, missing: list[TrainingJob]) -> Estimate:
    """Measure, then multiply."""
    parameters = sum(tensor.numel() for tensor in plan.specification.build("size").state_dict().values())
    per_model = 4 * parameters + 24 * (len(plan.arrays.pool_labels) + len(plan.arrays.test_labels))
    seconds = 0.0
    if missing:
        speed = measure_speed(plan.specification, plan)
        queried = len(plan.arrays.pool_labels) + len(plan.arrays.test_labels) + len(plan.arrays.control_rows)
        trained = sum(len(job.members) for job in missing) * plan.specification.recipe.epochs
        work = trained * speed.training + queried * len(missing) * speed.querying
        seconds = work / min(plan.workers, len(missing))
    return Estimate(
        models=len(missing),
        seconds=seconds,
        disk_bytes=per_model * len(missing),
        smallest_fpr=min(1.0, FEWEST_FALSE_POSITIVES / (plan.shadows * len(plan.data) / 2)),
    )
