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
from torch import nn

from privaudit.attacks import lira
from privaudit.audit.plan import AuditPlan
from privaudit.config import Sequencing
from privaudit.errors import EvidenceError
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import derive_seed
from privaudit.runtime.user_code import kept_alive
from privaudit.scoring.score_table import tail_of
from privaudit.scoring.target_audit import split_test
from privaudit.shadow.store import AuditStore, shadow_keys
from privaudit.shadow.trainer import ModelSpecification, signals_on
from privaudit.signals import signal
from privaudit.training.loop import Samples
from privaudit.unlearning.application.teacher_models import Stored, make_teachers, why_no_teachers
from privaudit.unlearning.base import UNLEARNERS, Context, Parameters, Unlearner
from privaudit.unlearning.guard import Guard
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.schedule.journal import NotKept, StageJournal
from privaudit.unlearning.schedule.one_shot import run_once
from privaudit.unlearning.schedule.ordering import order_rows, score_of
from privaudit.unlearning.schedule.sequence import Ledger, run_sequence
from privaudit.unlearning.schedule.stages import Ranking, sequence_of
from privaudit.unlearning.schedule.trajectory import Trajectory
from privaudit.unlearning.teachers import PairSplit, Teachers, split_pairs

Rows = npt.NDArray[np.int64]

#: Columns of the score table that the target model alone decides.
_OF_TARGET = ("margin", "loss", "entropy", "confidence")

#: Validation samples that tell a method what the never-seen cost: a mean that only stops an ascent needs no more.
UNSEEN = 1_000


@dataclass(frozen=True)
class Bench:
    """What a method is run with besides the model and the forget set; small enough to send to a worker.

    Parameters
    ----------
    store, specification
        Of the audit.
    shadows, seed
        Number of shadow models in use, and the audit's seed.
    table
        One score row a training sample, canaries taken out: row = position in the pool.
    """

    store: AuditStore
    specification: ModelSpecification
    shadows: int
    seed: int
    table: pd.DataFrame

    @classmethod
    def of(cls, plan: AuditPlan, table: pd.DataFrame) -> Bench:
        """The bench of an audit."""
        return cls(plan.store, plan.specification, plan.shadows, plan.settings.seed, table)

    def keep(self) -> npt.NDArray[np.bool_]:
        """Who saw what, ``[S, N]``, canaries taken out."""
        return self.store.read_design()[: self.shadows, : len(self.table)]


@dataclass(frozen=True)
class Request:
    """What is to be done: a method, its parameters, how the forget set is handed over, and whether under guard.

    Studies (comparisons of orders, tuning, the paper's experiments) leave the guard off: they ask what a method does.
    """

    method: str
    parameters: Parameters
    sequencing: Sequencing
    seed: int
    guard: bool = False


@dataclass(frozen=True)
class ForgetRun:
    """What a method did: the ledger, what was seen meanwhile, seconds, and whether shadow models taught it."""

    ledger: Ledger
    trajectory: Trajectory
    seconds: float
    taught: bool
    details: dict[str, Any] = field(default_factory=dict)


@kept_alive()
def run_method(
    bench: Bench,
    request: Request,
    make_model: Callable[[], nn.Module],
    forget: Rows,
    retain: Rows,
    samples: tuple[Samples, Samples],
    *,
    scattered: bool,
    is_target: bool = True,
    folder: Path | None = None,
    watched: bool = True,
    report: Callable[[float, float], None] = lambda done, total: None,
) -> tuple[nn.Module, ForgetRun]:
    """Run a method on a model.

    Parameters
    ----------
    bench, request
        With what, and what.
    make_model
        Gives the original model, anew at each call.
    forget, retain
        int64 rows of the pool; together what the model was trained on.
    samples
        The pool and the test set, on the device.
    scattered
        Whether shadow models that never saw a forget sample say how a model without it behaves.
    is_target
        Whether the score table's columns of the target model are this model's; else they are made for it.
    folder
        Where finished stages are remembered; None: nowhere.
    watched
        Whether the model is looked at on its way; else the trajectory stays empty.
    report
        Told how much of how much is done.
    """
    pool, _ = samples
    # The first optimiser of a process makes torch import its compiler for seconds: that is not unlearning.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.0)
    method: type[Unlearner] = UNLEARNERS.load(request.method)
    while True:
        model = make_model()
        teaching = _Teaching(bench, request, model, pool, ForgetSet(forget, scattered), retain)
        context = build_context(bench, request, model, forget, retain, samples, teaching)
        start = time.perf_counter()
        unlearner = method(context, request.parameters)
        if not method.takes_forget_steps:
            trajectory = Trajectory(pool, forget, 1)
            trajectory.look(0, model)
            guard = guard_of(bench, request, unlearner, samples, 1.0)
            ledger = run_once(unlearner, lambda share: report(share, 1.0), guard)
            seconds = time.perf_counter() - start
            trajectory.look(1, model)
            break
        scored = is_target or request.sequencing.order in ("none", "random")
        table = bench.table if scored else scored_by(model, bench.table, pool)
        stages = sequence_of(
            ranking_of(bench, request, table, forget, pool),
            model,
            request.sequencing,
            unlearner.passes,
            retain,
        )
        planned = sum(stage.budget for stage in stages)
        trajectory = Trajectory(pool, forget, planned)
        guard = guard_of(bench, request, unlearner, samples, planned)
        journal = None if folder is None or len(stages) == 1 else StageJournal(folder, trajectory, guard)
        try:
            ledger = run_sequence(
                unlearner,
                stages,
                lambda done, planned=planned: report(done, planned),  # type: ignore[misc]
                reset_state=request.sequencing.optimizer_state == "reset",
                watch=trajectory if watched else None,
                journal=journal,
                guard=guard,
            )
        except NotKept as what:
            talk(f"  the interrupted run can't be resumed ({what}): it starts anew")
            if journal is not None:
                journal.close()
            continue
        if journal is not None:
            journal.close()
        # What was done before an interruption counts; looking at the model does not.
        made = time.perf_counter() - start - trajectory.seconds
        seconds = max(made, sum(entry.seconds for entry in ledger.stages))
        break
    return model, ForgetRun(ledger, trajectory, seconds, teaching.asked, unlearner.details())


def build_context(
    bench: Bench,
    request: Request,
    model: nn.Module,
    forget: Rows,
    retain: Rows,
    samples: tuple[Samples, Samples],
    teaching: _Teaching,
) -> Context:
    """What the method works on."""
    pool, test = samples
    validation, _ = split_test(len(test), bench.seed)

    def unseen_loss() -> float:
        return float(signal(signals_on(model, test, validation[:UNSEEN])[:, 0], "loss").mean())

    return Context(
        model=model,
        samples=pool,
        forget=forget,
        retain=retain,
        classes=bench.specification.classes,
        unseen_loss=unseen_loss,
        hardware=bench.specification.hardware,
        generator=torch.Generator().manual_seed(derive_seed(request.seed, "unlearn", request.method)),
        build=bench.specification.build,
        teachers=None if teaching.why_not else teaching,
        no_teachers=teaching.why_not,
        recipe=bench.specification.recipe if bench.specification.training is None else None,
    )


def guard_of(
    bench: Bench, request: Request, unlearner: Unlearner, samples: tuple[Samples, Samples], planned: float
) -> Guard | None:
    """What watches this run, on D_r and on validation samples of classes that are kept; None where it is off."""
    if not request.guard:
        return None
    pool, test = samples
    context, validation = unlearner.context, split_test(len(test), bench.seed)[0]
    labels, of_test = pool.labels.cpu().numpy(), test.labels.cpu().numpy()
    most = 1 + max(int(labels.max()), int(of_test.max()))
    gone, left = (np.bincount(labels[rows], minlength=most) for rows in (context.forget, context.retain))
    kept = validation[~(gone > left)[of_test[validation]]]
    return Guard(unlearner, test, kept, planned, request.seed)


class _Teaching:
    """Makes the teachers, and remembers whether shadow models of the audit were among them: these must not judge."""

    def __init__(
        self, bench: Bench, request: Request, model: nn.Module, pool: Samples, forget: ForgetSet, retain: Rows
    ) -> None:
        self.why_not = why_no_teachers(forget, bench.shadows, request.parameters) or ""
        stored = Stored(bench.store, bench.specification, bench.keep())
        self._make = partial(make_teachers, stored, model, pool, (forget, retain), request.parameters, request.seed)
        self.asked = False

    def __call__(self) -> Teachers:
        if self.why_not:
            raise EvidenceError(self.why_not)
        teachers, self.asked = self._make()
        return teachers


def pairs_of(bench: Bench) -> PairSplit:
    """Which shadow models teach and which judge; the same for every run of an audit."""
    return split_pairs(bench.shadows, bench.specification.seed)


def will_teach(request: Request) -> bool:
    """Whether shadow models of the audit will teach this method, so that they must not judge it."""
    fresh = bool(getattr(request.parameters, "fresh_teachers", 0))
    return bool(UNLEARNERS.load(request.method).needs_teachers) and not fresh


def judges(bench: Bench, taught: bool) -> npt.NDArray[np.bool_]:
    """The shadow models that may judge, a mask ``[S]``: all of them, unless some have taught."""
    return pairs_of(bench).judging if taught else np.ones(bench.shadows, np.bool_)


def scored_by(model: nn.Module, table: pd.DataFrame, pool: Samples) -> pd.DataFrame:
    """The score table as it would be were this model the target."""
    rows = np.arange(len(table))
    of_model = signals_on(model, pool, rows)[:, 0]
    columns = {name: signal(of_model, name).astype(np.float64) for name in _OF_TARGET}
    scaled = signal(of_model, "scaled-logit").astype(np.float64)
    return table.assign(**columns, tail=tail_of(scaled, table["label"].to_numpy(), np.zeros(len(table), np.bool_)))


def ranking_of(bench: Bench, request: Request, table: pd.DataFrame, forget: Rows, pool: Samples) -> Ranking:
    """How the forget set is ordered: by the scores of before, or measured again whenever it is asked."""
    sequencing = request.sequencing
    of_forget = table.iloc[forget].reset_index(drop=True)
    measured = sequencing.rerank == "dynamic" or sequencing.pace == "self-paced"
    evidence = _Evidence(bench, forget) if measured and sequencing.order == "risk" else None

    def ranking(model: nn.Module) -> tuple[Rows, npt.NDArray[np.float64]]:
        rows = _measured(of_forget, model, pool, forget, evidence) if measured else of_forget
        position = order_rows(rows, sequencing.order, sequencing.descending, request.seed, sequencing.rank_by)
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
