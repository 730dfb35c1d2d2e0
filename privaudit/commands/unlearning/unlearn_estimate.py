"""What unlearning will cost, from a few steps of the training, of questions and of the method itself."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from privaudit.audit.cost.audit_estimate import IDLE, SINGLE, makespan
from privaudit.audit.cost.stopwatch import Cost, measure_here, peak_memory
from privaudit.audit.plan import AuditPlan
from privaudit.commands.unlearning.unlearn_request import ResolvedRequest
from privaudit.errors import PrivauditError
from privaudit.evaluation.measures.relearn import RelearnSettings
from privaudit.evaluation.u_lira import choose_models
from privaudit.results.unlearning.plan import Alternative, UnlearnCost
from privaudit.runtime import files
from privaudit.runtime.progress import readable_time, talk
from privaudit.shadow.trainer import one_thread
from privaudit.trials.treatment import Scene
from privaudit.trials.tuning import candidates, held_out_set
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.retrained_models import RetrainJob, wanted_jobs
from privaudit.unlearning.application.run_method import Request, judges, run_method, will_teach
from privaudit.unlearning.base import UNLEARNERS
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

    def result(self) -> UnlearnCost:
        """Return it as ``--dry-run --json`` prints it."""
        total = self.total
        return UnlearnCost(
            to_train=self.models,
            seconds=round(total.wall, 1),
            seconds_on_an_idle_machine=round(min(total.processor, total.wall), 1),
            **{f"{name}_seconds": round(cost.wall, 1) for name, cost in self.parts.items()},
            memory_bytes=self.memory_bytes,
            alternative=Alternative(seconds=round(self.one_model.wall, 1)),
        )


@dataclass(frozen=True)
class Work:
    """What a run is made of besides the method.

    Parameters
    ----------
    jobs
        Models that the run will hold: those of them that are there already cost nothing.
    u_lira_models, trials
        Shadow models that U-LiRA will unlearn from, and trials of the tuning.
    tuning
        Models that these trials need.
    """

    jobs: Sequence[RetrainJob]
    u_lira_models: int = 0
    trials: int = 0
    tuning: Sequence[RetrainJob] = ()

    @classmethod
    def of(cls, wanted: ResolvedRequest) -> Work:
        """Count what a request needs."""
        audit, settings, request, forget = wanted.audit, wanted.settings, wanted.request, wanted.forget
        plan = audit.plan
        seed = settings.seed
        jobs = wanted_jobs(plan, forget, settings.reference, seed, is_method=request is None, noise_floor=True)
        if request is None:
            return cls(jobs)
        trials, tuning, attackers = 0, [], 0
        if settings.tune:
            trials = len(candidates(UNLEARNERS.load(request.method), wanted.given))
            tuning = wanted_jobs(plan, held_out_set(plan.data.y_train, forget, seed), "retrain", seed)
        if settings.u_lira is not None:
            attackers = len(choose_models(judges(audit.bench, will_teach(request)), settings.u_lira))
        return cls(jobs, attackers, trials, tuning)


def estimate_run(plan: AuditPlan, problem: UnlearningProblem, request: Request | None, work: Work) -> UnlearnEstimate:
    """Measure a few steps of everything, then multiply; ``request`` is None where the method is retraining."""
    speed, forget = measure_speed(plan, problem, request), len(problem.forget.rows)
    missing = _missing([*work.jobs, *work.tuning])
    asked = len(problem.pool) + len(problem.test) + forget
    models = len(work.jobs) + 1 + (request is not None)
    judged = speed.querying * (models * asked)
    if plan.specification.estimator is None:
        judged += relearning(speed, forget) * models
    half = speed.method * 0.5 + speed.querying * forget
    parts = {
        "retraining": _retraining(speed, plan, missing),
        "tuning": (speed.method + speed.querying * asked) * work.trials,
        "unlearning": speed.method,
        "u_lira": makespan([half] * work.u_lira_models, plan.workers),
        "measuring": judged + _of_a_core(speed, REPORT_SECONDS + MEASURING_SECONDS),
    }
    one_model = _training(speed, plan, len(problem.retain))
    return UnlearnEstimate(len(missing), parts, one_model, memory_of(plan, models))


def estimate_scenes(plan: AuditPlan, scenes: Sequence[Scene], jobs: list[RetrainJob]) -> UnlearnEstimate | None:
    """Estimate what the missing trials of these scenes will cost, were every forget set like that of the first.

    Returns None where all are done.
    """
    waiting = [treatment for scene in scenes for treatment in scene.missing()]
    missing = _missing(jobs)
    if not waiting and not missing:
        return None
    problem = UnlearningProblem.of(scenes[0].bench, plan.arrays, scenes[0].forget, scenes[0].seed)
    speed, forget = measure_speed(plan, problem, None), len(problem.forget.rows)
    requests = [treatment.request for treatment in waiting if not isinstance(treatment.request, str)]
    took = {request.method: _method(problem, request) for request in {one.method: one for one in requests}.values()}
    one = speed.querying * (len(problem.pool) + len(problem.test) + forget)
    if any(scene.relearn for scene in scenes):
        one += relearning(speed, forget)
    parts = {
        "retraining": _retraining(speed, plan, missing),
        "unlearning": makespan([took[request.method] for request in requests], plan.workers),
        "measuring": makespan([one] * len(waiting), plan.workers)
        + _of_a_core(speed, REPORT_SECONDS + MEASURING_SECONDS),
    }
    return UnlearnEstimate(len(missing), parts, _training(speed, plan, len(problem.retain)), memory_of(plan, 4))


def measure_speed(plan: AuditPlan, problem: UnlearningProblem, request: Request | None) -> Speed:
    """Time training, questions and the method here and now, a second or so of each."""
    talk("  measuring a few steps")
    training, querying = measure_here(plan)
    return Speed(training, querying, NOTHING if request is None else _method(problem, request))


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


def _method(problem: UnlearningProblem, request: Request) -> Cost:
    """The whole method, from a run on the same share of D_u and of D_r: its work grows with both."""
    forget, retain = problem.forget, problem.retain
    share = min(1.0, max(FIRST_SHARE, FEWEST_TRIED / len(forget.rows)))
    while True:
        few = ForgetSet(_spread(forget.rows, share), forget.scattered)
        took, done = _attempt(replace(problem, forget=few, retain=_spread(retain, share)), request)
        if took.wall >= LONG_ENOUGH or share == 1.0:
            break
        share = min(1.0, 4 * share)
    return took * (1 / (share * done))


def _attempt(problem: UnlearningProblem, request: Request) -> tuple[Cost, float]:
    """What a run takes, and which share of its budget it spent, in (0, 1]."""
    hardware = problem.bench.specification.hardware
    processor, wall, spent = time.process_time(), time.perf_counter(), 1.0
    with one_thread(hardware):
        try:
            # When the evidence will be enough nobody knows: a fixed budget is about the most that is spent.
            _, run = run_method(problem, replace(request, by_evidence=False))
            if run.ledger.stopped and run.ledger.forget_steps:
                spent = max(0.1, run.ledger.forget_steps_run / run.ledger.forget_steps)
        except PrivauditError:
            # So few samples may be too few for a method; the run itself will say what is wrong with it.
            spent = 1.0
    took = time.perf_counter() - wall
    return Cost(took if hardware.device == "cuda" else time.process_time() - processor, took), spent


def _spread(rows: Rows, share: float) -> Rows:
    """A share of the rows, evenly spaced: data may be sorted by class."""
    count = max(2, round(share * len(rows)))
    return rows[np.arange(count) * len(rows) // count]


def _missing(jobs: Sequence[RetrainJob]) -> list[RetrainJob]:
    every = {job.path: job for job in jobs}
    return [
        job for path, job in every.items() if not (files.is_whole(path) and files.is_whole(path.with_suffix(".json")))
    ]


def _training(speed: Speed, plan: AuditPlan, members: int) -> Cost:
    return speed.training * (members * plan.specification.recipe.epochs)


def _retraining(speed: Speed, plan: AuditPlan, missing: list[RetrainJob]) -> Cost:
    """All the trainings that are missing, and the start of the processes that they run in."""
    trained = makespan([_training(speed, plan, len(job.members)) for job in missing], plan.workers)
    return trained + _of_a_core(speed, STARTING_SECONDS) if missing and plan.workers > 1 else trained


def _of_a_core(speed: Speed, seconds: float) -> Cost:
    """Seconds of a core, on a machine as busy as it was while the rest was measured."""
    busy = min(1.0, max(0.01, speed.training.processor / speed.training.wall)) if speed.training.wall > 0 else 1.0
    return Cost(seconds, seconds / busy)
