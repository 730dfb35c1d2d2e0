"""U-LiRA (Hayes et al., arXiv 2403.01218): the same unlearner run on shadow models, which then attack each other.

A complementary pair of shadow models has, for every forgotten sample x, one model that saw it. Each of the two
unlearns the part of D_u that it saw. So the first says how a model behaves that was trained on x and then unlearned it
(IN′), the second how one behaves that never saw x and unlearned others (OUT). Plain LiRA compares with models that
unlearned nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.engines.base import Engine, Report, run_jobs
from privaudit.errors import UsageError
from privaudit.evaluation.model_evaluation import Judged
from privaudit.results.measures import Attack
from privaudit.runtime import files
from privaudit.runtime.progress import progress, talk
from privaudit.shadow.store import shadow_key
from privaudit.shadow.trainer import AuditArrays, load_model, one_thread, signals_on
from privaudit.signals import signal
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import performance
from privaudit.training.loop import Samples
from privaudit.unlearning.application.run_method import Bench, Request, run_method

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class UnlearnJob:
    """One shadow model that is to unlearn the part of D_u that it saw, and where its signals on D_u go."""

    index: int
    forget: Rows
    path: Path
    bench: Bench
    request: Request
    scattered: bool


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
    bench: Bench,
    request: Request,
    forget: Rows,
    judged: dict[str, Judged],
    models: list[int],
    scattered: bool,
    arrays: AuditArrays,
    engine: Engine,
    folder: Path,
) -> dict[str, Any]:
    """Run the unlearner on shadow models, and attack with what they became.

    Parameters
    ----------
    bench, request
        As for the run that is judged.
    forget
        int64 rows of D_u.
    judged
        The original, unlearned and retrained models.
    models
        Indices of the shadow models, in whole pairs.
    scattered
        As in `privaudit.unlearning.requests.forget_set.ForgetSet`.
    arrays
        For the workers.
    engine
        Runs them.
    folder
        Of the run: finished shadow models are found there again after an interruption.

    Returns
    -------
    dict
        ``attack``: how well IN′ is told from OUT over the shadow models by rotation of pairs, with intervals.
        ``called_members``: the share of D_u that each model is said to have been trained on, by these shadow models.
    """
    keep = bench.keep()[models]
    jobs = [
        UnlearnJob(index, np.intersect1d(forget, np.flatnonzero(row)), _path(folder, index), bench, request, scattered)
        for index, row in zip(models, keep, strict=True)
    ]
    missing = [job for job in jobs if not files.is_whole(job.path)]
    if missing:
        with progress(f"U-LiRA: unlearning from {len(missing)} shadow models", len(missing)) as bar:
            run_jobs(_unlearn_job, missing, (arrays, forget), engine, bar)
    statistic = np.stack([signal(files.read_array(job.path)[:, 0], "margin") for job in jobs])
    seen = keep[:, forget]
    attack = attack_unlearned(statistic, seen).to_json()
    called = {}
    for name, model in judged.items():
        of_model = lira.of_other_model(signal(model.pool[forget, 0], "margin"), statistic, seen)
        called[name] = float((of_model > 0).mean())
    return {
        "models": len(models),
        "attack": {key: value for key, value in attack.items() if key != "curve"},
        "called_members": called,
    }


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
    files.remove_folder(folder / "u-lira")


def _path(folder: Path, index: int) -> Path:
    return folder / "u-lira" / f"{shadow_key(index)}.npy"


def _unlearn_job(job: UnlearnJob, shared: tuple[AuditArrays, Rows], report: Report) -> None:
    arrays, everything_forgotten = shared
    specification, key = job.bench.specification, shadow_key(job.index)
    pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, specification.hardware.device)
    test = Samples.from_arrays(arrays.test_inputs, arrays.test_labels, specification.hardware.device)
    path = job.bench.store.model(key)
    members = np.flatnonzero(job.bench.keep()[job.index])
    with one_thread(specification.hardware):
        model, _ = run_method(
            job.bench,
            job.request,
            lambda: load_model(specification, path),
            job.forget,
            np.setdiff1d(members, job.forget),
            (pool, test),
            scattered=job.scattered,
            is_target=False,
            report=lambda done, total: report(done / total),
        )
        signals = signals_on(model, pool, everything_forgotten)
    files.write_array(job.path, signals)
    files.seal(job.path)
    report(1.0)
