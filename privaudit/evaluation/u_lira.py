"""U-LiRA (Hayes et al., arXiv 2403.01218): the same unlearner run on shadow models, which then attack each other.

A complementary pair of shadow models has, for every forgotten sample x, one model that saw it. Each of the two
unlearns the part of D_u that it saw. So the first says how a model behaves that was trained on x and then unlearned it
(IN′), the second how one behaves that never saw x and unlearned others (OUT). Plain LiRA compares with models that
unlearned nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.audit.plan import AuditPlan
from privaudit.engines.base import Report, run_jobs
from privaudit.errors import UsageError
from privaudit.evaluation.answers import Answers
from privaudit.evaluation.shadow_evidence import without_curve
from privaudit.results.measures import Attack
from privaudit.results.unlearning.run import ULira
from privaudit.runtime import files
from privaudit.runtime.progress import progress, talk
from privaudit.shadow.store import shadow_key
from privaudit.shadow.trainer import AuditArrays, one_thread, signals_on
from privaudit.signals import signal
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import performance
from privaudit.unlearning.application.problem import Bench, UnlearningProblem
from privaudit.unlearning.application.run_method import Request, run_method
from privaudit.unlearning.requests.forget_set import ForgetSet

Rows = npt.NDArray[np.int64]

#: Below the run's folder, until it is finished.
WORKING = "u-lira"


@dataclass(frozen=True)
class UnlearnJob:
    """One shadow model that is to unlearn the part of D_u that it saw, and where its signals on D_u go."""

    index: int
    forget: ForgetSet
    path: Path
    bench: Bench
    request: Request


def choose_models(judging: npt.NDArray[np.bool_], wanted: int) -> list[int]:
    """The first ``wanted`` shadow models that may judge, in whole pairs; `UsageError` where there are too few."""
    allowed = [int(index) for index in np.flatnonzero(judging)]
    if wanted % 2:
        talk(f"  --u-lira {wanted} is rounded up to {wanted + 1}: shadow models come in complementary pairs")
        wanted += 1
    if wanted < lira.FEWEST_MODELS or wanted > len(allowed):
        raise UsageError(
            f"--u-lira {wanted}: between {lira.FEWEST_MODELS} and {len(allowed)} shadow models can be unlearned from "
            "and attacked",
            hint="Ask for fewer, or audit with more: privaudit score … --shadows "
            f"{max(wanted, lira.FEWEST_MODELS) * len(judging) // max(1, len(allowed))} keeps those that are there.",
        )
    return allowed[:wanted]


def u_lira(
    plan: AuditPlan,
    problem: UnlearningProblem,
    request: Request,
    answers: Mapping[str, Answers],
    models: list[int],
    folder: Path,
) -> ULira:
    """Run the unlearner on shadow models, and attack with what they became.

    Parameters
    ----------
    plan
        Whose data and engine the workers use.
    problem, request
        As for the run that is judged.
    answers
        Of the original, unlearned and retrained models: ``called_members`` says which share of D_u each is said to have
        been trained on, by these shadow models.
    models
        Indices of the shadow models, in whole pairs.
    folder
        Of the run: finished shadow models are found there again after an interruption.
    """
    bench, forget = problem.bench, problem.forget
    keep = bench.keep()[models]
    jobs = [
        UnlearnJob(
            index=index,
            forget=ForgetSet(np.intersect1d(forget.rows, np.flatnonzero(row)), forget.scattered),
            path=folder / WORKING / f"{shadow_key(index)}.npy",
            bench=bench,
            request=request,
        )
        for index, row in zip(models, keep, strict=True)
    ]
    missing = [job for job in jobs if not files.is_whole(job.path)]
    if missing:
        with progress(f"U-LiRA: unlearning from {len(missing)} shadow models", len(missing)) as bar:
            run_jobs(_unlearn_job, missing, (plan.arrays, forget.rows), plan.engine, bar)
    statistic = np.stack([signal(files.read_array(job.path)[:, 0], "margin") for job in jobs])
    seen = keep[:, forget.rows]
    return ULira(
        models=len(models),
        attack=without_curve(attack_unlearned(statistic, seen)),
        called_members={
            name: float((lira.of_other_model(signal(one.pool[forget.rows, 0], "margin"), statistic, seen) > 0).mean())
            for name, one in answers.items()
        },
    )


def attack_unlearned(statistic: npt.NDArray[Any], seen: npt.NDArray[np.bool_]) -> Attack:
    """Attack each unlearned shadow model with the others, by rotation of pairs.

    Parameters
    ----------
    statistic
        ``[S, n]`` of the forgotten under the models after unlearning, complementary pairs side by side.
    seen
        bool ``[S, n]``: which model was trained on which of them.

    Returns
    -------
    Attack
        Its intervals know that every model is judged by Gaussians that are fitted to all the others: the attack is run
        again without each pair in turn (`privaudit.statistics.jackknife`).
    """
    pair = np.broadcast_to((np.arange(len(statistic)) // 2)[:, np.newaxis], seen.shape)
    refits = Refits(len(statistic), lambda left: lira.online(statistic[left], seen[left]))
    return performance(lira.online(statistic, seen), seen, pair, ((scores, seen[left]) for left, scores in refits))


def remove_working_files(folder: Path) -> None:
    """Delete what a finished run needs no more."""
    files.remove_folder(folder / WORKING)


def _unlearn_job(job: UnlearnJob, shared: tuple[AuditArrays, Rows], report: Report) -> None:
    (arrays, everything_forgotten), bench = shared, job.bench
    members = np.flatnonzero(bench.keep()[job.index])
    problem = UnlearningProblem.of(
        bench,
        arrays,
        job.forget,
        job.request.seed,
        original=bench.store.model(shadow_key(job.index)),
        retain=np.setdiff1d(members, job.forget.rows),
    )
    with one_thread(bench.specification.hardware):
        model, _ = run_method(problem, job.request, report=lambda done, total: report(done / total))
        signals = signals_on(model, problem.pool, everything_forgotten)
    files.write_array(job.path, signals)
    files.seal(job.path)
    report(1.0)
