"""Models trained without the forget set: what unlearning is held against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit.artifacts import RETRAINED
from privaudit.audit.plan import AuditPlan
from privaudit.engines.base import Report, run_jobs
from privaudit.results.audit.training_record import RetrainedRecord
from privaudit.results.base import write_result
from privaudit.runtime import files
from privaudit.runtime.identity import digest_of
from privaudit.runtime.progress import progress, readable_time, talk
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import TARGET, shadow_key
from privaudit.shadow.trainer import AuditArrays, as_kept, one_thread, read_record, save_model, train_with_new_seeds
from privaudit.training.loop import Samples
from privaudit.unlearning.requests.forget_set import ForgetSet

#: With ``--reference auto`` a retraining that takes longer than this is left out.
LONGEST_RETRAINING = 600.0


@dataclass(frozen=True)
class RetrainJob:
    """A model to train on D_r alone."""

    path: Path
    members: npt.NDArray[np.int64]
    specification: ModelSpecification
    purpose: tuple[str | int, ...]


def retrained_models(
    plan: AuditPlan,
    forget: ForgetSet,
    reference: str,
    seed: int,
    *,
    is_method: bool = False,
    noise_floor: bool = False,
) -> tuple[list[Path], list[float]]:
    """Train on D_r alone, or find what was trained before.

    Parameters
    ----------
    reference
        ``retrain``, ``shadow`` (none is needed), or ``auto``: retrain where that takes at most ten minutes.
    seed
        Decides the retrained weights, together with the forget set.
    is_method
        Retraining is the method itself: one more model, to be compared with the reference.
    noise_floor
        A second reference where a training takes at most ten minutes: how alike two retrained models are.

    Returns
    -------
    tuple
        Paths of the models (the method's first, then the references) and the seconds that each took.
    """
    expected = expected_seconds(plan, len(plan.data) - len(forget.rows))
    if reference == "auto" and expected > LONGEST_RETRAINING:
        talk(
            f"  retraining would take about {readable_time(expected)}: the shadow models that never saw a sample are "
            "the reference instead; --reference retrain to retrain all the same"
        )
    jobs = wanted_jobs(plan, forget, reference, seed, is_method=is_method, noise_floor=noise_floor)
    train_missing(jobs, plan)
    records = [files.read_json(job.path.with_suffix(".json")) for job in jobs]
    return [job.path for job in jobs], [record["seconds"] for record in records]


def wanted_jobs(
    plan: AuditPlan,
    forget: ForgetSet,
    reference: str,
    seed: int,
    *,
    is_method: bool = False,
    noise_floor: bool = False,
) -> list[RetrainJob]:
    """Return the trainings that `retrained_models` needs, whether they are there already or not."""
    retain = np.setdiff1d(np.arange(len(plan.data)), forget.rows)
    short = expected_seconds(plan, len(retain)) <= LONGEST_RETRAINING
    wanted = 0
    if reference == "retrain" or (reference == "auto" and short):
        wanted = 1 + (noise_floor and not is_method and short)
    return retrain_jobs(plan, forget, retain, seed, wanted + is_method)


def expected_seconds(plan: AuditPlan, members: int) -> float:
    """How long a training on this many samples will take on one worker, from how long another took."""
    # The target's is the longest, and so the best to go by; a given one was not trained here.
    record = read_record(plan.store, shadow_key(0) if plan.is_given(TARGET) else TARGET)
    return (record.seconds or 0.0) * members / record.members


def retrain_jobs(
    plan: AuditPlan, forget: ForgetSet, retain: npt.NDArray[np.int64], seed: int, count: int
) -> list[RetrainJob]:
    """``count`` independent trainings on D_r; their weights depend on the forget set, the seed and their number."""
    digest = digest_of(forget.rows)[:16]
    jobs = []
    for number in range(count):
        path = RETRAINED.at(plan.store.folder, name=f"{digest}-{seed}-{number}")
        purpose = ("retrain", digest, seed, number)
        jobs.append(RetrainJob(path, retain, plan.specification, purpose))
    return jobs


def train_missing(jobs: list[RetrainJob], plan: AuditPlan) -> None:
    """Train those that are not there, whole, yet."""
    missing = []
    for job in jobs:
        for path in (job.path, job.path.with_suffix(".json")):
            if files.inspect_seal(path).is_wrong:
                talk(f"  {files.set_aside_in_words(path)}; it is made again")
        if not (files.is_whole(job.path) and files.is_whole(job.path.with_suffix(".json"))):
            missing.append(job)
    if missing:
        work = sum(len(job.members) * job.specification.recipe.epochs for job in missing)
        with progress(f"retraining without the forgotten ({len(missing)})", work) as bar:
            run_jobs(retrain_job, missing, plan.arrays, plan.engine, bar)


def retrain_job(job: RetrainJob, arrays: AuditArrays, report: Report) -> None:
    """Train a model from scratch on D_r, by the recipe of the target, and seal it."""
    with one_thread(job.specification.hardware):
        samples = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, job.specification.hardware.device)
        model, record, diverged = train_with_new_seeds(job.specification, samples, job.members, job.purpose, report)
        model = as_kept(model, arrays)
    save_model(model, job.path)
    kept = RetrainedRecord(
        seed_offset=len(diverged),
        diverged=diverged,
        seconds=record.seconds,
        members=len(job.members),
        # The rows in their order: they prove later who was not among them.
        members_sha256=digest_of(np.ascontiguousarray(job.members, np.int64)),
        sha256=files.sha256_of(job.path),
    )
    write_result(job.path.with_suffix(".json"), kept)
