"""A few real steps of everything that an audit does, by as many processes at once as will do it."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter

from privaudit.audit.plan import AuditPlan
from privaudit.config import available_cores
from privaudit.engines.base import Report, run_jobs
from privaudit.engines.local import LocalEngine, dismiss
from privaudit.errors import PrivauditError, TrainingDiverged
from privaudit.estimators.fitted import FittedEstimator, fit_estimator
from privaudit.inversion.inversion_jobs import InversionJob, InversionSetting, Tier, invert_job
from privaudit.runtime import files
from privaudit.runtime.progress import Progress, talk
from privaudit.runtime.scratch import scratch_folder
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.trainer import AuditArrays, one_thread
from privaudit.training.custom_training import TrainingFunction, load_training, train_by_function
from privaudit.training.loop import Samples, logits_of, train

#: A measurement of training goes on for so long, if there are samples enough.
ENOUGH_SECONDS = 1.0
MOST_SAMPLES = 4096

#: Steps of a long and of a short search: what they differ by is the steps.
LONG, SHORT = 4, 1

#: Seconds a row grow by no higher power of the rows: two short fits say little of a long one.
MOST_GROWTH = 0.3

#: The processes wait so long for each other to start.
LONGEST_START = 300.0


@dataclass(frozen=True)
class Cost:
    """Seconds of the processor, and of the clock on the wall, that something took."""

    processor: float
    wall: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.processor + other.processor, self.wall + other.wall)

    def __mul__(self, times: float) -> Cost:
        return Cost(self.processor * times, self.wall * times)


@dataclass(frozen=True)
class Measured:
    """What one process takes, while the others do the same.

    Parameters
    ----------
    training, querying
        A sample.
    searches
        By tier of inversion, ``(start, step)``: a search's share of everything but its steps, and one of its steps.
    memory, gpu_memory
        Bytes: a process's peak, and the part of it on a GPU.
    """

    training: Cost
    querying: Cost
    searches: dict[Tier, tuple[Cost, Cost]]
    memory: int
    gpu_memory: int

    def busy(self) -> float:
        """The share of a core that a process got, in (0, 1]: below 1 where the machine had other work."""
        parts = [self.training, self.querying, *(cost for costs in self.searches.values() for cost in costs)]
        wall = sum(cost.wall for cost in parts)
        return min(1.0, max(0.01, sum(cost.processor for cost in parts) / wall)) if wall > 0 else 1.0


#: A measurement as a process leaves it.
MEASURED = TypeAdapter(Measured)


@dataclass(frozen=True)
class _Task:
    specification: ModelSpecification
    arrays: AuditArrays
    setting: InversionSetting | None
    tiers: tuple[Tier, ...]
    folder: Path
    processes: int


def measure(plan: AuditPlan, setting: InversionSetting | None, tiers: tuple[Tier, ...], processes: int) -> Measured:
    """Run a few steps in each of ``processes`` processes at once; the averages.

    Parameters
    ----------
    plan
        The audit.
    setting, tiers
        Which inversions it will run; None and () for none.
    processes
        As many as will run side by side on this machine.
    """
    hardware = plan.specification.hardware
    most = processes if hardware.device == "cuda" else min(processes, available_cores())
    engine = LocalEngine.of(hardware.device, most, hardware.card)
    talk("  measuring a few steps")
    with scratch_folder() as folder:
        task = _Task(plan.specification, plan.arrays, setting, tiers, folder, engine.width)
        run_jobs(_measure_job, range(engine.width), task, engine, Progress("measuring", engine.width))
        if engine.width > 1 and plan.engine != engine:
            dismiss()
        found = [MEASURED.validate_json(_result(task.folder, number).read_bytes()) for number in range(engine.width)]
    return _average(found)


def measure_here(plan: AuditPlan) -> tuple[Cost, Cost]:
    """Return what a sample takes in training and when it is asked about, measured in this process alone."""
    with one_thread(plan.specification.hardware), scratch_folder() as folder:
        return _training(_Task(plan.specification, plan.arrays, None, (), folder, 1))


def _measure_job(number: int, task: _Task, _: Report) -> None:
    """Measure in one process, once all of them are there."""
    _wait_for_all(number, task)
    with one_thread(task.specification.hardware):
        training, querying = _training(task)
        searches = {tier: _searching(task, number, tier) for tier in task.tiers}
    gpu_memory = torch.cuda.max_memory_reserved() if task.specification.hardware.device == "cuda" else 0
    found = Measured(training, querying, searches, peak_memory(), gpu_memory)
    files.write_bytes(_result(task.folder, number), MEASURED.dump_json(found))


def _result(folder: Path, number: int) -> Path:
    return folder / f"{number}.json"


def _average(found: list[Measured]) -> Measured:
    share = 1 / len(found)

    def mean(costs: list[Cost]) -> Cost:
        return sum(costs, Cost(0.0, 0.0)) * share

    return Measured(
        training=mean([one.training for one in found]),
        querying=mean([one.querying for one in found]),
        searches={
            tier: (mean([one.searches[tier][0] for one in found]), mean([one.searches[tier][1] for one in found]))
            for tier in found[0].searches
        },
        memory=max(one.memory for one in found),
        gpu_memory=max(one.gpu_memory for one in found),
    )


def _wait_for_all(number: int, task: _Task) -> None:
    """Processes start at different times; what they take from each other shows only while all are at it."""
    (task.folder / f"ready-{number}").touch()
    deadline = time.monotonic() + LONGEST_START
    while len(list(task.folder.glob("ready-*"))) < task.processes:
        if time.monotonic() > deadline:
            raise PrivauditError(
                f"of {task.processes} processes not all had started after {LONGEST_START:.0f} s",
                hint="The machine is very busy: try again later, or with fewer --workers.",
            )
        time.sleep(0.02)


def _timed(work: Callable[[], object], device: str) -> Cost:
    """What ``work`` takes; on a GPU the processor's time says nothing, so that the wall's stands for both."""
    processor, wall = time.process_time(), time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    taken = time.perf_counter() - wall
    return Cost(taken if device == "cuda" else time.process_time() - processor, taken)


def _training(task: _Task) -> tuple[Cost, Cost]:
    """Seconds a sample of training steps, and of queries, each after some to warm up."""
    if task.specification.estimator is not None:
        return _fitting(task.specification.estimator, task)
    if task.specification.training is not None:
        return _training_by_function(task.specification.training, task)
    hardware, recipe, arrays = task.specification.hardware, task.specification.recipe, task.arrays
    size = min(len(arrays.pool_labels), MOST_SAMPLES)
    pool = Samples.from_arrays(arrays.pool_inputs[:size], arrays.pool_labels[:size], hardware.device)
    model = task.specification.build("speed")
    # At a rate this low no step can diverge, whatever recipe was asked for.
    few = recipe.model_copy(update={"epochs": 1, "learning_rate": 1e-9})

    def some(rows: int, epochs: int = 1) -> Cost:
        changed = few.model_copy(update={"epochs": epochs})
        return _timed(lambda: train(model, pool, np.arange(rows), changed, 0, hardware), hardware.device)

    # A step of a batch as large as it will be, or as there is, to warm up; then as many as fill the time.
    rows = min(size, recipe.batch_size)
    some(rows)
    first = some(rows)
    batches = max(2, int(ENOUGH_SECONDS / max(first.processor, 1e-4)))
    trained = min(size, rows * batches)
    epochs = max(1 if trained > rows else 2, min(50, rows * batches // trained))
    # What a training takes before its first step (a network may look at its inputs) is not spread over the few steps
    # of this one: the steps beyond the first are what thousands like them will take.
    steps = some(trained, epochs) + first * -1
    training = Cost(max(0.0, steps.processor), max(0.0, steps.wall)) * (1 / (trained * epochs - rows))
    asked = np.arange(min(size, max(rows, trained)))
    logits_of(model, pool, asked[:rows])
    querying = _timed(lambda: logits_of(model, pool, asked), hardware.device) * (1 / len(asked))
    return training, querying


def _training_by_function(training: str, task: _Task) -> tuple[Cost, Cost]:
    """Let the user's function train a model on few samples, then on more, until that takes long enough to be told.

    What fails in it fails here, before hours of work. Spread over the recipe's epochs, in which work is counted.
    """
    specification, arrays, function = task.specification, task.arrays, load_training(training)
    hardware, size = specification.hardware, len(arrays.pool_labels)
    rows = min(size, 32)
    while True:
        # Evenly spaced: the data may be sorted by class.
        picked = np.arange(rows) * size // rows
        few = Samples.from_arrays(arrays.pool_inputs[picked], arrays.pool_labels[picked], hardware.device)
        taken = _timed(partial(_train_by, function, training, specification, few), hardware.device)
        if taken.wall > ENOUGH_SECONDS or rows == size:
            model = specification.build("speed")
            asking = _timed(partial(logits_of, model, few), hardware.device)
            return taken * (1 / (rows * specification.recipe.epochs)), asking * (1 / rows)
        rows = min(size, 4 * rows)


def _fitting(estimator: str, task: _Task) -> tuple[Cost, Cost]:
    """Fit an estimator to few samples, then to more, until that takes long enough to be told, or these are all."""
    arrays, classes = task.arrays, task.specification.classes
    rows, size = 256, max(1, len(arrays.pool_labels) // 2)
    fewer, before = 0, 0.0
    while True:
        rows = min(rows, size)
        picked = np.arange(rows) * len(arrays.pool_labels) // rows
        inputs, labels = arrays.pool_inputs[picked], arrays.pool_labels[picked]
        fitted: list[FittedEstimator] = []
        fit = partial(fit_estimator, estimator, inputs, labels, classes, 0)
        taken = _timed(partial(_keep_in, fitted, fit), "cpu")
        if taken.wall > ENOUGH_SECONDS or rows == size:
            slower = (size / rows) ** _growth(fewer, before, rows, taken.processor)
            asking = _timed(partial(fitted[0].log_probabilities, inputs), "cpu")
            return taken * (slower / rows), asking * (1 / rows)
        fewer, before, rows = rows, taken.processor, rows * 4


def _growth(fewer: int, before: float, rows: int, taken: float) -> float:
    """Return by which power of their number the seconds a row grow, from two fits; trees sort what they are given."""
    if before <= 0 or taken <= 0 or fewer >= rows:
        return 0.0
    return min(MOST_GROWTH, max(0.0, math.log(taken / before) / math.log(rows / fewer) - 1))


def _keep_in(fitted: list[FittedEstimator], fit: Callable[[], tuple[FittedEstimator, float]]) -> None:
    fitted.append(fit()[0])


def _train_by(function: TrainingFunction, name: str, specification: ModelSpecification, samples: Samples) -> None:
    with suppress(TrainingDiverged):
        model, rows = specification.build("speed"), np.arange(len(samples.labels))
        train_by_function(function, name, model, samples, rows, 0, specification.hardware)


def _searching(task: _Task, number: int, tier: Tier) -> tuple[Cost, Cost]:
    """What a search and each of its steps take, from whole jobs of few steps against a fresh network."""
    setting = task.setting
    assert setting is not None  # noqa: S101 - tiers come with their setting
    device = setting.specification.hardware.device
    rows = np.arange(min(setting.calibration.batch, len(setting.labels)))
    path = task.folder / f"{tier}-{number}.npz"

    def of(steps: int) -> Cost:
        few = replace(
            setting,
            at="init",
            attack=setting.attack.model_copy(update={"steps": steps}),
            features=setting.features.model_copy(update={"steps": steps}),
            iterations=steps - 1,
        )
        job = InversionJob(tier, "speed", rows, np.zeros_like(rows), path, 0.0)
        return _timed(lambda: invert_job(job, few, lambda _: None), device) * (1 / len(rows))

    of(SHORT)  # to warm up
    short, long = of(SHORT), of(LONG)
    step = Cost(
        max(0.0, long.processor - short.processor) / (LONG - SHORT), max(0.0, long.wall - short.wall) / (LONG - SHORT)
    )
    start = Cost(max(0.0, short.processor - SHORT * step.processor), max(0.0, short.wall - SHORT * step.wall))
    return start, step


def peak_memory() -> int:
    """Bytes that this process had in memory at most."""
    status = Path("/proc/self/status")
    if status.is_file():
        # What rusage tells on Linux may be the peak of whoever started this process.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
