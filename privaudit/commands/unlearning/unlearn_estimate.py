"""What unlearning will cost, from a few steps of the training, of questions and of the method itself."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.audit.cost.audit_estimate import IDLE, SINGLE, makespan
from privaudit.audit.cost.stopwatch import Cost, measure_here, peak_memory
from privaudit.audit.plan import AuditPlan
from privaudit.errors import PrivauditError
from privaudit.evaluation.measures.relearn import RelearnSettings
from privaudit.runtime import files
from privaudit.runtime.progress import readable_time, talk
from privaudit.shadow.store import TARGET
from privaudit.shadow.trainer import load_model, one_thread
from privaudit.training.loop import Samples
from privaudit.trials.treatment import Scene
from privaudit.unlearning.application.retrained_models import RetrainJob
from privaudit.unlearning.application.run_method import Bench, Request, run_method
from privaudit.unlearning.requests.forget_set import ForgetSet

Rows = npt.NDArray[np.int64]

NOTHING = Cost(0.0, 0.0)

#: Seconds of a core for the report, HTML and PDF, and for what a run measures besides asking models.
REPORT_SECONDS, MEASURING_SECONDS = 7.0, 1.0

#: The same for the start of the processes, which import torch.
STARTING_SECONDS = 4.0

#: Steps that a model takes to relearn, where nobody knows yet: many need none, some the limit of 400.
RELEARN_STEPS = 25

#: The method is tried on this share of everything, then on four times as much, until that takes long enough to be told.
FIRST_SHARE, LONG_ENOUGH = 1 / 16, 0.4

#: Fewer forget samples than this say little of batches.
FEWEST_TRIED = 8


@dataclass(frozen=True)
class Speed:
    """What a sample takes in training and when it is asked about, and the method from one end to the other."""

    training: Cost
    querying: Cost
    method: Cost


@dataclass(frozen=True)
class UnlearnEstimate:
    """What a run will cost.

    Parameters
    ----------
    models
        To train without the forgotten (or as originals): what the store has not finished yet.
    parts
        What each part takes: ``retraining``, ``tuning``, ``unlearning``, ``u_lira``, ``measuring``.
    one_model
        What training one model without the forgotten takes: the exact alternative.
    memory_bytes
        This process with the models that it will hold, and the others at their peak.
    """

    models: int
    parts: dict[str, Cost]
    one_model: Cost
    memory_bytes: int

    @property
    def total(self) -> Cost:
        """All of it."""
        return sum(self.parts.values(), NOTHING)

    def sentences(self, *, is_exact: bool) -> list[str]:
        """For people."""
        names = {
            "retraining": f"training {self.models} model{'s' if self.models != 1 else ''}",
            "tuning": "tuning",
            "unlearning": "unlearning",
            "u_lira": "U-LiRA",
            "measuring": "measures and report",
        }
        told = [
            f"{names[name]} about {readable_time(math.ceil(cost.wall))}"
            for name, cost in self.parts.items()
            if cost.wall > 0
        ]
        said = [
            f"{'; '.join(told)}; together about {readable_time(math.ceil(self.total.wall))}, "
            f"{self.memory_bytes / 1e9:.1f} GB of memory"
        ]
        if not is_exact:
            said.append(
                "the exact alternative is --method retrain: about "
                f"{readable_time(math.ceil(self.one_model.wall))} for the model itself"
            )
        if self.busy < IDLE:
            said.append(
                f"the machine is busy ({100 * self.busy:.0f}% of a core while this was measured): left alone about "
                f"{readable_time(math.ceil(self.total.processor))}"
            )
        return said

    @property
    def busy(self) -> float:
        """The share of a core that was to be had while this was measured, in (0, 1]."""
        total = self.total
        return min(1.0, max(0.01, total.processor / total.wall)) if total.wall > 0 else 1.0

    def to_json(self) -> dict[str, Any]:
        """As ``--dry-run --json`` prints it; seconds."""
        total = self.total
        return {
            "to_train": self.models,
            "seconds": round(total.wall, 1),
            "seconds_on_an_idle_machine": round(min(total.processor, total.wall), 1),
            **{f"{name}_seconds": round(cost.wall, 1) for name, cost in self.parts.items()},
            "memory_bytes": self.memory_bytes,
            "alternative": {"method": "retrain", "exact": True, "seconds": round(self.one_model.wall, 1)},
        }


def estimate_run(
    plan: AuditPlan,
    bench: Bench,
    request: Request | None,
    forget: ForgetSet,
    jobs: list[RetrainJob],
    *,
    u_lira_models: int = 0,
    trials: int = 0,
    tuning: Sequence[RetrainJob] = (),
) -> UnlearnEstimate:
    """Measure a few steps of everything, then multiply.

    Parameters
    ----------
    plan, bench
        The audit.
    request
        The method; None where it is retraining.
    forget
        D_u.
    jobs
        Models that the run will hold: those of them that are there already cost nothing.
    u_lira_models, trials
        Shadow models that U-LiRA will unlearn from, and trials of the tuning.
    tuning
        Models that these trials need.
    """
    retain = np.setdiff1d(np.arange(len(plan.data)), forget.rows)
    speed = measure_speed(plan, bench, request, forget, retain)
    missing = _missing([*jobs, *tuning])
    asked = len(plan.arrays.pool_labels) + len(plan.arrays.test_labels) + len(forget.rows)
    models = len(jobs) + 1 + (request is not None)
    judged = speed.querying * (models * asked) + relearning(speed, len(forget.rows)) * models
    half = speed.method * 0.5 + speed.querying * len(forget.rows)
    parts = {
        "retraining": _retraining(speed, plan, missing),
        "tuning": (speed.method + speed.querying * asked) * trials,
        "unlearning": speed.method,
        "u_lira": makespan([half] * u_lira_models, plan.workers),
        "measuring": judged + _of_a_core(speed, REPORT_SECONDS + MEASURING_SECONDS),
    }
    everyone = RetrainJob(jobs[0].path if jobs else plan.store.model(TARGET), retain, plan.specification, ())
    return UnlearnEstimate(len(missing), parts, _training(speed, plan, everyone), memory_of(plan, models))


def estimate_trials(
    plan: AuditPlan,
    bench: Bench,
    requests: Sequence[tuple[Request, int]],
    forget: ForgetSet,
    jobs: list[RetrainJob],
    *,
    judged: int,
    relearned: bool = False,
) -> UnlearnEstimate:
    """Estimate what trials over seeds will cost, were every forget set like this one.

    Parameters
    ----------
    plan, bench, forget, jobs
        As for `estimate_run`, of one forget set and of all models.
    requests
        Methods, and how many trials of each are not done yet.
    judged
        How many models are asked in all.
    relearned
        Whether relearn time is measured.
    """
    retain = np.setdiff1d(np.arange(len(plan.data)), forget.rows)
    speed = measure_speed(plan, bench, None, forget, retain)
    trials = [_method(plan, bench, request, forget, retain) for request, _ in requests]
    durations = [cost for cost, (_, count) in zip(trials, requests, strict=True) for _ in range(count)]
    missing = _missing(jobs)
    one = speed.querying * (len(plan.arrays.pool_labels) + len(plan.arrays.test_labels) + len(forget.rows))
    if relearned:
        one += relearning(speed, len(forget.rows))
    parts = {
        "retraining": _retraining(speed, plan, missing),
        "unlearning": makespan(durations, plan.workers),
        "measuring": makespan([one] * judged, plan.workers) + _of_a_core(speed, REPORT_SECONDS + MEASURING_SECONDS),
    }
    everyone = RetrainJob(plan.store.model(TARGET), retain, plan.specification, ())
    return UnlearnEstimate(len(missing), parts, _training(speed, plan, everyone), memory_of(plan, 4))


def estimate_scenes(
    plan: AuditPlan, scenes: Sequence[Scene], jobs: list[RetrainJob], *, relearned: bool = False
) -> UnlearnEstimate | None:
    """Estimate what the missing trials of these scenes will cost; None where all are done."""
    missing = [(scene, treatment) for scene in scenes for treatment in scene.missing()]
    if not missing and not _missing(jobs):
        return None
    counted: dict[str, tuple[Request, int]] = {}
    for _, treatment in missing:
        if not isinstance(treatment.request, str):
            request, count = counted.get(treatment.request.method, (treatment.request, 0))
            counted[request.method] = (request, count + 1)
    return estimate_trials(
        plan,
        scenes[0].bench,
        list(counted.values()),
        scenes[0].forget,
        jobs,
        judged=len(missing),
        relearned=relearned,
    )


def measure_speed(plan: AuditPlan, bench: Bench, request: Request | None, forget: ForgetSet, retain: Rows) -> Speed:
    """Time training, questions and the method here and now, a second or so of each."""
    talk("  measuring a few steps")
    training, querying = measure_here(plan)
    return Speed(training, querying, NOTHING if request is None else _method(plan, bench, request, forget, retain))


def relearning(speed: Speed, forget: int) -> Cost:
    """What relearning a forget set takes as far as anybody knows: few steps, and a look every few of them."""
    settings = RelearnSettings()
    looks = RELEARN_STEPS / settings.look_every
    return speed.training * (RELEARN_STEPS * min(forget, settings.batch_size)) + speed.querying * (looks * forget)


def memory_of(plan: AuditPlan, models: int) -> int:
    """This process with the models and signals that it will hold, and as much again for each other worker."""
    rows = len(plan.arrays.pool_labels) + len(plan.arrays.test_labels)
    weights: int = sum(tensor.numel() for tensor in plan.specification.build("size").state_dict().values())
    held: int = SINGLE * (models * weights + plan.shadows * rows * 8)
    return peak_memory() + held + (peak_memory() * plan.workers if plan.workers > 1 else 0)


def _method(plan: AuditPlan, bench: Bench, request: Request, forget: ForgetSet, retain: Rows) -> Cost:
    """The whole method, from a run on the same share of D_u and of D_r: its work grows with both."""
    specification, arrays = plan.specification, plan.arrays
    pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, specification.hardware.device)
    test = Samples.from_arrays(arrays.test_inputs, arrays.test_labels, specification.hardware.device)
    share = min(1.0, max(FIRST_SHARE, FEWEST_TRIED / len(forget.rows)))
    while True:
        few, rest = _spread(forget.rows, share), _spread(retain, share)
        took, done = _attempt(bench, request, (few, rest), (pool, test), scattered=forget.scattered)
        if took.wall >= LONG_ENOUGH or share == 1.0:
            break
        share = min(1.0, 4 * share)
    return took * (1 / (share * done))


def _attempt(
    bench: Bench, request: Request, rows: tuple[Rows, Rows], samples: tuple[Samples, Samples], *, scattered: bool
) -> tuple[Cost, float]:
    """What a run on these rows takes, and which share of its budget it spent, in (0, 1]."""
    specification = bench.specification
    processor, wall, spent = time.process_time(), time.perf_counter(), 1.0
    with one_thread(specification.hardware):
        try:
            _, run = run_method(
                bench,
                request,
                lambda: load_model(specification, bench.store.model(TARGET)),
                *rows,
                samples,
                scattered=scattered,
            )
            if run.ledger.stopped and run.ledger.forget_steps:
                spent = max(0.1, run.ledger.forget_steps_run / run.ledger.forget_steps)
        except PrivauditError:
            # So few samples may be too few for a method; the run itself will say what is wrong with it.
            spent = 1.0
    took = time.perf_counter() - wall
    return Cost(took if specification.hardware.device == "cuda" else time.process_time() - processor, took), spent


def _spread(rows: Rows, share: float) -> Rows:
    """A share of the rows, evenly spaced: data may be sorted by class."""
    count = max(2, round(share * len(rows)))
    return rows[np.arange(count) * len(rows) // count]


def _missing(jobs: Sequence[RetrainJob]) -> list[RetrainJob]:
    every = {job.path: job for job in jobs}
    return [
        job for path, job in every.items() if not (files.is_whole(path) and files.is_whole(path.with_suffix(".json")))
    ]


def _training(speed: Speed, plan: AuditPlan, job: RetrainJob) -> Cost:
    return speed.training * (len(job.members) * plan.specification.recipe.epochs)


def _retraining(speed: Speed, plan: AuditPlan, missing: list[RetrainJob]) -> Cost:
    """All the trainings that are missing, and the start of the processes that they run in."""
    trained = makespan([_training(speed, plan, job) for job in missing], plan.workers)
    return trained + _of_a_core(speed, STARTING_SECONDS) if missing and plan.workers > 1 else trained


def _of_a_core(speed: Speed, seconds: float) -> Cost:
    """Seconds of a core, on a machine as busy as it was while the rest was measured."""
    busy = min(1.0, max(0.01, speed.training.processor / speed.training.wall)) if speed.training.wall > 0 else 1.0
    return Cost(seconds, seconds / busy)
