"""Runs one method on one model: the target's, a shadow model's, or that of a seed of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pydantic import JsonValue
from torch import nn

from privaudit.attacks import lira
from privaudit.config import Sequencing
from privaudit.errors import EvidenceError
from privaudit.results.unlearning.ledger import Ledger
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import derive_seed
from privaudit.runtime.user_code import kept_alive
from privaudit.scoring.score_table import tail_of
from privaudit.shadow.store import shadow_keys
from privaudit.shadow.trainer import signals_on
from privaudit.signals import signal
from privaudit.training.loop import Samples
from privaudit.unlearning.application.deciding_models import decider_of
from privaudit.unlearning.application.problem import Bench, UnlearningProblem
from privaudit.unlearning.application.teacher_models import make_teachers, why_no_teachers
from privaudit.unlearning.base import UNLEARNERS, Context, Parameters, Unlearner
from privaudit.unlearning.guard import Guard
from privaudit.unlearning.schedule.cycles import cycles_of
from privaudit.unlearning.schedule.journal import NotKept, StageJournal
from privaudit.unlearning.schedule.one_shot import run_once
from privaudit.unlearning.schedule.ordering import order_rows, score_of
from privaudit.unlearning.schedule.sequence import run_sequence
from privaudit.unlearning.schedule.stages import Ranking, sequence_of
from privaudit.unlearning.schedule.trajectory import Trajectory
from privaudit.unlearning.teachers import Teachers, split_pairs

Rows = npt.NDArray[np.int64]
Telling = Callable[[float, float], None]

#: Columns of the score table that the target model alone decides.
_OF_TARGET = ("margin", "loss", "entropy", "confidence")

#: Validation samples that tell a method what the never-seen cost: a mean that only stops an ascent needs no more.
UNSEEN = 1_000


@dataclass(frozen=True)
class Request:
    """What is to be done: a method, its parameters, how the forget set is handed over, under which guard, until when.

    ``by_evidence``: a method that works in cycles is handed those who look seen until D_u looks never-seen, whatever
    ``sequencing`` says; other methods, and where no evidence is to be had, spend a fixed budget.

    Studies (comparisons of orders, tuning, the paper's experiments) leave the guard off: they ask what a method does.
    """

    method: str
    parameters: Parameters
    sequencing: Sequencing
    seed: int
    guard: bool = False
    by_evidence: bool = False

    @property
    def revision(self) -> dict[str, object]:
        """What names a run in stages of a method that does other in them than it once did; nothing otherwise."""
        revision = UNLEARNERS.load(self.method).stages_revision
        return {"stages_revision": revision} if revision > 1 and self.sequencing.order != "none" else {}


@dataclass(frozen=True)
class ForgetRun:
    """What a method did: the ledger, what was seen meanwhile, seconds, and whether shadow models taught it."""

    ledger: Ledger
    trajectory: Trajectory
    seconds: float
    taught: bool
    details: dict[str, JsonValue] = field(default_factory=dict)


@kept_alive()
def run_method(
    problem: UnlearningProblem,
    request: Request,
    *,
    folder: Path | None = None,
    watched: bool = True,
    report: Telling = lambda done, total: None,
) -> tuple[nn.Module, ForgetRun]:
    """Run a method on a problem's model.

    Parameters
    ----------
    problem, request
        From what the model is to forget, and how.
    folder
        Where finished stages are remembered; None: nowhere.
    watched
        Whether the model is looked at on its way; else the trajectory of a method in stages stays empty.
    report
        Told how much of how much is done.
    """
    # The first optimiser of a process makes torch import its compiler for seconds: that is not unlearning.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.0)
    method: type[Unlearner] = UNLEARNERS.load(request.method)
    while True:
        model = problem.load()
        teaching = _Teaching(problem, request, model)
        context = build_context(problem, request, model, teaching)
        start = time.perf_counter()
        unlearner = method(context, request.parameters)
        if not method.takes_forget_steps:
            ledger, trajectory, seconds = _run_once(problem, request, unlearner, report, start)
            break
        try:
            ledger, trajectory = _run_in_stages(problem, request, unlearner, folder, watched, report)
        except NotKept as what:
            talk(f"  the interrupted run can't be resumed ({what}): it starts anew")
            continue
        # What was done before an interruption counts; looking at the model does not.
        made = time.perf_counter() - start - trajectory.seconds
        seconds = max(made, sum(entry.seconds for entry in ledger.stages))
        break
    return model, ForgetRun(ledger, trajectory, seconds, teaching.asked, unlearner.details())


def _run_once(
    problem: UnlearningProblem, request: Request, unlearner: Unlearner, report: Telling, start: float
) -> tuple[Ledger, Trajectory, float]:
    model = unlearner.context.model
    trajectory = Trajectory(problem.pool, problem.watched, 1)
    trajectory.look(0, model)
    guard = guard_of(problem, request, unlearner, 1.0)
    ledger = run_once(unlearner, lambda share: report(share, 1.0), guard)
    seconds = time.perf_counter() - start
    trajectory.look(1, model)
    return ledger, trajectory, seconds


def _run_in_stages(
    problem: UnlearningProblem,
    request: Request,
    unlearner: Unlearner,
    folder: Path | None,
    watched: bool,
    report: Telling,
) -> tuple[Ledger, Trajectory]:
    """Hand the forget set over stage by stage; `NotKept` where what was remembered of an earlier try is of no use."""
    model = unlearner.context.model
    ranking = ranking_of(problem, request.sequencing, request.seed, model)
    decider = decider_of(problem, unlearner) if request.by_evidence else None
    if decider is not None and (cycles := unlearner.cycles):
        stages = cycles_of(problem.forget.rows, unlearner.cycle_budget, cycles)
    else:
        decider = None
        stages = sequence_of(ranking, model, request.sequencing, unlearner.passes, problem.retain)
    planned = sum(stage.budget for stage in stages)
    trajectory = Trajectory(problem.pool, problem.watched, planned)
    guard = guard_of(problem, request, unlearner, planned)
    journal = None if folder is None or len(stages) == 1 else StageJournal(folder, trajectory, guard)
    try:
        ledger = run_sequence(
            unlearner,
            stages,
            lambda done: report(done, planned),
            reset_state=request.sequencing.optimizer_state == "reset",
            watch=trajectory if watched else None,
            journal=journal,
            guard=guard,
            decider=decider,
        )
    except NotKept:
        if journal is not None:
            journal.close()
        raise
    if journal is not None:
        journal.close()
    return ledger, trajectory


def build_context(problem: UnlearningProblem, request: Request, model: nn.Module, teaching: _Teaching) -> Context:
    """Gather what the method works on."""
    specification = problem.bench.specification

    def unseen_loss() -> float:
        return float(signal(signals_on(model, problem.test, problem.validation[:UNSEEN])[:, 0], "loss").mean())

    return Context(
        model=model,
        samples=problem.pool,
        forget=problem.forget.rows,
        retain=problem.retain,
        classes=specification.classes,
        unseen_loss=unseen_loss,
        hardware=specification.hardware,
        generator=torch.Generator().manual_seed(derive_seed(request.seed, "unlearn", request.method)),
        build=specification.build,
        teachers=None if teaching.why_not else teaching,
        no_teachers=teaching.why_not,
        recipe=specification.recipe if specification.training is None else None,
    )


def guard_of(problem: UnlearningProblem, request: Request, unlearner: Unlearner, planned: float) -> Guard | None:
    """Make what watches this run, on D_r and on validation samples of kept classes; None where it is off."""
    if not request.guard:
        return None
    kept = problem.validation[problem.stay(problem.validation)]
    return Guard(unlearner, problem.test, kept, planned, request.seed)


class _Teaching:
    """Makes the teachers, and remembers whether shadow models of the audit were among them: these must not judge."""

    def __init__(self, problem: UnlearningProblem, request: Request, model: nn.Module) -> None:
        self.why_not = why_no_teachers(problem.forget, problem.bench.shadows, request.parameters) or ""
        self._make = partial(make_teachers, problem, model, request.parameters, request.seed)
        self.asked = False

    def __call__(self) -> Teachers:
        if self.why_not:
            raise EvidenceError(self.why_not)
        teachers, self.asked = self._make()
        return teachers


def will_teach(request: Request) -> bool:
    """Tell whether shadow models of the audit will teach this method, so that they must not judge it."""
    fresh = bool(getattr(request.parameters, "fresh_teachers", 0))
    return bool(UNLEARNERS.load(request.method).needs_teachers) and not fresh


def judges(bench: Bench, taught: bool) -> npt.NDArray[np.bool_]:
    """Return which shadow models may judge, a mask ``[S]``: all, unless some taught (the same ones for every run)."""
    if not taught:
        return np.ones(bench.shadows, np.bool_)
    return split_pairs(bench.shadows, bench.specification.seed).judging


def scored_by(model: nn.Module, table: pd.DataFrame, pool: Samples) -> pd.DataFrame:
    """The score table as it would be were this model the target."""
    rows = np.arange(len(table))
    of_model = signals_on(model, pool, rows)[:, 0]
    columns = {name: signal(of_model, name).astype(np.float64) for name in _OF_TARGET}
    scaled = signal(of_model, "scaled-logit").astype(np.float64)
    return table.assign(**columns, tail=tail_of(scaled, table["label"].to_numpy(), np.zeros(len(table), np.bool_)))


def ranking_of(problem: UnlearningProblem, sequencing: Sequencing, seed: int, original: nn.Module) -> Ranking:
    """Return how the forget set is ordered: by the scores of before, or measured again whenever it is asked."""
    bench, forget = problem.bench, problem.forget.rows
    scored = problem.is_of_target or sequencing.order in ("none", "random")
    table = bench.table if scored else scored_by(original, bench.table, problem.pool)
    of_forget = table.iloc[forget].reset_index(drop=True)
    measured = sequencing.rerank == "dynamic" or sequencing.pace == "self-paced"
    evidence = _Evidence(bench, forget) if measured and sequencing.order == "risk" else None

    def ranking(model: nn.Module) -> tuple[Rows, npt.NDArray[np.float64]]:
        rows = _measured(of_forget, model, problem.pool, forget, evidence) if measured else of_forget
        position = order_rows(rows, sequencing.order, sequencing.descending, seed, sequencing.rank_by)
        return forget[position], score_of(rows, sequencing.order, sequencing.rank_by)[position]

    return ranking


class _Evidence:
    """The shadow models' margins of the forget set, to tell how much a changing model still looks as if it knew it."""

    def __init__(self, bench: Bench, forget: Rows) -> None:
        if bench.shadows < lira.FEWEST_MODELS:
            raise EvidenceError(f"{bench.shadows} shadow models are too few to measure risk again")
        stored = bench.store.read_signals(shadow_keys(bench.shadows))[:, forget, 0]
        self._margin, self._keep = signal(stored, "margin"), bench.keep()[:, forget]

    def of(self, margin: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """LiRA's ratio of every forget sample under a model with these margins."""
        return lira.of_other_model(margin, self._margin, self._keep)


def _measured(
    table: pd.DataFrame, model: nn.Module, pool: Samples, forget: Rows, evidence: _Evidence | None
) -> pd.DataFrame:
    mode = model.training
    of_model = signals_on(model, pool, forget)[:, 0]
    model.train(mode)
    changed = {name: signal(of_model, name).astype(np.float64) for name in ("loss", "entropy")}
    if evidence is not None:
        changed["risk"] = changed["lira"] = evidence.of(signal(of_model, "margin"))
    return table.assign(**changed)
