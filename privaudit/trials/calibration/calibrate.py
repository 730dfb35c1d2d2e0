"""A calibration: candidates by successive halving over held-out forget sets of a kind; paid once, kept in the store."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from privaudit.artifacts import CALIBRATION
from privaudit.audit.plan import AuditPlan
from privaudit.config import Sequencing
from privaudit.errors import PrivauditError
from privaudit.results.base import read_result, write_result
from privaudit.results.unlearning.calibration import (
    Calibration,
    CalibrationCost,
    CalibrationPlan,
    CalibrationTrial,
    ForgetSetKind,
)
from privaudit.runtime import files
from privaudit.runtime.identity import Identity
from privaudit.runtime.progress import readable_time, talk
from privaudit.runtime.seeds import derive_seed
from privaudit.shadow.trainer import one_thread
from privaudit.trials.calibration.candidates import Candidate, candidates_for, edges, usual_for
from privaudit.trials.calibration.choose import choose
from privaudit.trials.calibration.held_out import SETS, held_out_sets, unlike
from privaudit.trials.calibration.judged import JudgedSet, Standing, margins_of
from privaudit.trials.calibration.kind import kind_of
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.retrained_models import RetrainJob, expected_seconds, retrain_jobs, train_missing
from privaudit.unlearning.application.run_method import ForgetRun, Request, run_method
from privaudit.unlearning.base import RETRAIN
from privaudit.unlearning.requests.forget_set import ForgetSet

#: What asking models and looking at them adds to the methods themselves.
ASKING = 1.2


@dataclass
class Tried:
    """What a candidate cost, and whether it is out of the question."""

    seconds: float = 0.0
    of_first: int = 0
    of_all: int = 0
    ruined: str | None = None


@dataclass
class CalibrationOf:
    """The calibration that a request needs, made or not.

    Parameters
    ----------
    plan, problem
        Of the audit; the request's problem, whose forget set is left alone.
    sequencing, guard
        How the request hands forget samples over: candidates do it alike.
    decides
        What else decides any unlearning of the audit.
    """

    plan: AuditPlan
    problem: UnlearningProblem
    sequencing: Sequencing
    guard: bool
    decides: Mapping[str, object]
    _kind: ForgetSetKind | None = None
    _tried: dict[Candidate, Tried] = field(default_factory=dict)

    @property
    def kind(self) -> ForgetSetKind:
        """What the request's forget set is like."""
        if self._kind is None:
            with one_thread(self.plan.specification.hardware):
                self._kind = kind_of(self.problem, self.problem.load())
        return self._kind

    @property
    def candidates(self) -> list[Candidate]:
        """What is tried on the first forget set."""
        return candidates_for(self.kind, self.plan.specification.recipe.epochs)

    @property
    def name(self) -> str:
        """Of everything that decides it but the request that pays for it."""
        sequencing = self.sequencing.to_json() if self.sequencing.order != "none" else {"order": "none"}
        identity = Identity.of(
            **self.decides,
            kind=self.kind.identity,
            sequencing=sequencing,
            guard=self.guard,
            candidates=[[one.method, one.values] for one in self.candidates],
            seed=self.problem.bench.seed,
            format=3,
        )
        return identity.named(self.kind.name, *([self.kind.by] if self.kind.by else []))

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return CALIBRATION.at(self.plan.store.folder, name=self.name)

    def stored(self) -> Calibration | None:
        """Return it where an earlier request paid for it."""
        if not files.is_whole(self.path):
            return None
        found = read_result(self.path, Calibration)
        return found.model_copy(update={"cost": found.cost.model_copy(update={"reused": True})})

    def without_trials(self) -> Calibration | None:
        """Return what is taken where no held-out forget set can stand for the request's; None where trials can tell."""
        if self.kind.name == "class":
            return None
        why = unlike(self.problem, self.kind, held_out_sets(self.problem, self.problem.load(), self.kind))
        return None if why is None else self._result([], Standing((), {}), usual_for(self.kind), why, 0.0)

    def foretell(self) -> CalibrationPlan:
        """Estimate what it will take, by what trainings took before and by the shares of one that candidates take."""
        epochs = self.plan.specification.recipe.epochs
        costs = sorted((one.cost(epochs) for one in self.candidates), reverse=True)
        # The better half, were it the dearer half; and one candidate beyond each end of a grid.
        shares = SETS + ASKING * (sum(costs) + sum(costs[: math.ceil(len(costs) / 2)]) + SETS * costs[0])
        one = expected_seconds(self.plan, len(self.problem.retain))
        return CalibrationPlan(
            kind=self.kind, candidates=len(self.candidates), models=SETS, seconds=round(shares * one, 1)
        )

    def made(self) -> Calibration:
        """Calibrate; write down what was found, and delete the models that it took."""
        began = time.perf_counter()
        model = self.problem.load()
        talk(f"  calibrating for forget sets of this kind ({self.kind.words})")
        sets = held_out_sets(self.problem, model, self.kind)
        jobs = [self._job(one) for one in sets]
        train_missing(jobs, self.plan)
        with one_thread(self.plan.specification.hardware):
            judged = [self._judged(*one) for one in zip(sets, jobs, range(1, len(sets) + 1), strict=True)]
            method, why, standing = self._halved(judged)
        found = self._result(judged, standing, method, why, time.perf_counter() - began)
        files.make_private_folder(self.path.parent)
        write_result(self.path, found)
        for job in jobs:
            for path in (job.path, job.path.with_suffix(".json")):
                files.remove(path)
        talk(f"  calibrated in {readable_time(found.cost.seconds)}: {found.method}, {found.why}")
        return found

    def _job(self, forget: ForgetSet) -> RetrainJob:
        bench = self.problem.bench
        # No request's seed: its model is not one that a request may keep.
        seed = derive_seed(bench.seed, "calibration")
        return retrain_jobs(self.plan, forget, bench.without(forget.rows), seed, 1)[0]

    def _judged(self, forget: ForgetSet, job: RetrainJob, number: int) -> JudgedSet:
        retain = self.problem.bench.without(forget.rows)
        seed = derive_seed(self.problem.bench.seed, "calibration")
        problem = replace(self.problem, forget=forget, retain=retain, seed=seed)
        retrained, original = (margins_of(problem, model) for model in (problem.load(job.path), problem.load()))
        return JudgedSet(problem, retrained, original, number=number)

    def _halved(self, sets: list[JudgedSet]) -> tuple[Candidate | None, str, Standing]:
        """All on the first set, the better half on the others too; beyond the ends of grids once."""
        if not sets:
            return None, "D_r is too small to hold a forget set of this kind out of it", Standing((), {})
        for candidate in self.candidates:
            self._try(candidate, sets[:1])
        first = Standing.of(sets[:1])
        ranked = sorted(first.tows, key=first.tow, reverse=True)
        better = ranked[: math.ceil(len(self.candidates) / 2)]
        # What others are held against is tried on every set.
        usual = usual_for(self.kind)
        for candidate in [*better, *(one for one in ranked if one == usual and one not in better)]:
            self._try(candidate, sets[1:])
        if (beyond := self._beyond(sets)) is not None:
            talk(f"    the best so far stands at the end of a grid: {beyond.words} too")
            self._try(beyond, sets)
        standing = self._standing(sets)
        chosen, why = choose(standing, {one: tried.of_first for one, tried in self._tried.items()}, usual, beyond)
        return chosen, why, standing

    def _standing(self, sets: list[JudgedSet]) -> Standing:
        found = Standing.of(sets)
        kept = {one: tows for one, tows in found.tows.items() if self._tried[one].ruined is None}
        return Standing(found.nothing, kept)

    def _beyond(self, sets: list[JudgedSet]) -> Candidate | None:
        """What lies beyond the end of a grid where the best stands, ahead of what lies within by more than noise."""
        standing = self._standing(sets)
        whole = [one for one, tows in standing.tows.items() if len(tows) == len(sets)]
        if not whole:
            return None
        best = max(whole, key=standing.tow)
        for inner, beyond in edges(best):
            if inner not in standing.tows or standing.is_ahead(best, inner):
                return beyond
        return None

    def _try(self, candidate: Candidate, sets: list[JudgedSet]) -> None:
        tried = self._tried.setdefault(candidate, Tried())
        for judged in sets:
            request = Request(
                candidate.method, candidate.parameters, self.sequencing, judged.problem.seed, guard=self.guard
            )
            began = time.perf_counter()
            try:
                model, run = run_method(judged.problem, request, watched=False)
            except PrivauditError as error:
                tried.ruined = error.message
                break
            tried.seconds += time.perf_counter() - began
            spent = gradients_of(run)
            tried.of_first = tried.of_first or spent
            tried.of_all += spent
            tried.ruined = tried.ruined or judged.add(candidate, model)
        if not sets:
            return
        talk(f"    {candidate.words}: {'; '.join(judged.words_on(candidate) for judged in sets)}")

    def _result(
        self, sets: list[JudgedSet], standing: Standing, chosen: Candidate | None, why: str, seconds: float
    ) -> Calibration:
        every = Standing.of(sets)
        trials = [
            CalibrationTrial(
                method=one.method,
                parameters=one.values,
                tows=tuple(round(tow.value, 4) for tow in every.tows.get(one, ())),
                tow=round(every.tow(one), 4) if one in every.tows else 0.0,
                seconds=round(tried.seconds, 3),
                gradients=tried.of_first,
                ruined=tried.ruined,
            )
            for one, tried in self._tried.items()
        ]
        tried_runs = sum(max(1, len(one.tows)) for one in trials)
        training = sum(len(one.problem.retain) for one in sets) * self.plan.specification.recipe.epochs
        return Calibration(
            name=self.name,
            kind=self.kind,
            forget_sets=tuple(len(one.problem.forget.rows) for one in sets),
            tow_do_nothing=round(standing.of_nothing, 4) if sets else 0.0,
            noise=None if chosen is None or not sets else round(standing.lead(chosen, None)[1], 4),
            candidates=tuple(trials),
            method=RETRAIN if chosen is None else chosen.method,
            parameters={} if chosen is None else chosen.values,
            why=why,
            cost=CalibrationCost(
                models=len(sets),
                trials=tried_runs,
                gradients=training + sum(one.of_all for one in self._tried.values()),
                seconds=round(seconds, 3),
            ),
        )


def gradients_of(run: ForgetRun) -> int:
    """Return the gradients of samples that a method took."""
    ledger = run.ledger
    return ledger.forget_steps_run + ledger.forget_steps_beside + ledger.retain_steps_run
