"""What models say of the records with each candidate in a sensitive column's place: a job a model, kept in the store.

A network is asked; an estimator, of which the store keeps no more than its answers, is fitted again to its members with
its seed, and held against these answers first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit import artifacts
from privaudit.audit.attributes.sensitive_columns import SensitiveColumn
from privaudit.audit.plan import AuditPlan
from privaudit.engines.base import Report, run_jobs
from privaudit.engines.kept_results import is_done, read_kept
from privaudit.errors import StoreError
from privaudit.estimators.fitted import FittedEstimator
from privaudit.estimators.stored_answers import says_the_same
from privaudit.runtime import files
from privaudit.runtime.identity import Identity
from privaudit.runtime.progress import progress
from privaudit.shadow.store import COIN, TARGET, shadow_keys
from privaudit.shadow.trainer import (
    AuditArrays,
    TrainingJob,
    as_kept,
    load_model,
    one_thread,
    train_with_new_seeds,
)
from privaudit.signals import signal, signals_of
from privaudit.training.loop import Samples, logits_of

Floats = npt.NDArray[np.float32]

#: Part of the name of what is kept. Raise it whenever the same question would be put otherwise.
CANDIDATE_FORMAT = 1

#: What is kept of an answer, in this order.
KEPT = ("margin", "loss")


@dataclass(frozen=True)
class CandidateJob:
    """One model and where its answers go, a file a column."""

    training: TrainingJob
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class CandidateSetting:
    """What all jobs have in common."""

    arrays: AuditArrays
    columns: tuple[SensitiveColumn, ...]


def answers_of(plan: AuditPlan, columns: Sequence[SensitiveColumn]) -> list[tuple[Floats, Floats | None]]:
    """Ask every model that was not asked yet; return, by column, what shadow models and the target say.

    Returns
    -------
    list of tuple
        float32 ``[S, N, V, 2]`` and ``[N, V, 2]``, the second as `KEPT`; None for an estimator that was given, which
        the store does not keep.
    """
    jobs = candidate_jobs(plan, columns)
    missing = [job for job in jobs if not all(map(is_done, job.paths))]
    if missing:
        title = "asking for sensitive columns" if plan.specification.estimator is None else "fitting again, and asking"
        with progress(title, len(missing)) as bar:
            run_jobs(ask_job, missing, CandidateSetting(plan.arrays, tuple(columns)), plan.engine, bar)
    paths = {job.training.key: job.paths for job in jobs}
    found = []
    for index in range(len(columns)):
        shadow = np.stack([read_kept(paths[key][index]) for key in shadow_keys(plan.shadows)])
        found.append((shadow, read_kept(paths[TARGET][index]) if TARGET in paths else None))
    return found


def candidate_jobs(plan: AuditPlan, columns: Sequence[SensitiveColumn]) -> list[CandidateJob]:
    """The target, where it can be asked, and every shadow model."""
    folders = [_name(plan, column) for column in columns]
    jobs = plan.jobs(plan.store.read_design()[: plan.shadows])
    is_kept = plan.specification.estimator is None
    return [
        CandidateJob(job, tuple(artifacts.CANDIDATES.at(plan.store.folder, name=name, key=job.key) for name in folders))
        for job in jobs
        if job.key != COIN and (is_kept or not plan.is_given(job.key))
    ]


def _name(plan: AuditPlan, column: SensitiveColumn) -> str:
    """Name everything that decides the answers about a column besides the audit itself."""
    block = column.block
    return Identity.of(
        format=CANDIDATE_FORMAT,
        column=block.name,
        features=[block.start, block.stop],
        candidates=column.candidates,
        rows=plan.data.sample_ids[column.rows],
    ).digest()


def ask_job(job: CandidateJob, setting: CandidateSetting, report: Report) -> None:
    """Ask one model about every candidate of every column, and seal its answers."""
    specification = job.training.specification
    with one_thread(specification.hardware):
        model = _model(job.training, setting.arrays)
        for column, path in zip(setting.columns, job.paths, strict=True):
            inputs = setting.arrays.pool_inputs[column.rows]
            labels = setting.arrays.pool_labels[column.rows]
            tried = np.concatenate([column.with_candidate(inputs, value) for value in range(len(column.values))])
            every_label = np.tile(labels, len(column.values))
            found = signals_of(_logits(model, tried, every_label, specification.hardware.device), every_label)
            kept = np.stack([signal(found, name) for name in KEPT], axis=1)
            answers = kept.reshape(len(column.values), len(labels), len(KEPT)).transpose(1, 0, 2)
            files.write_array(path, np.ascontiguousarray(answers))
            files.seal(path)
    report(1.0)


def _model(job: TrainingJob, arrays: AuditArrays) -> nn.Module:
    specification = job.specification
    stored = load_model(specification, job.store.model(job.key))
    if specification.estimator is None:
        return stored
    samples = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, specification.hardware.device)
    fitted, _, _ = train_with_new_seeds(specification, samples, job.members, [job.key])
    if not says_the_same(as_kept(fitted, arrays), stored):
        raise StoreError(
            f"{job.store.audit}: fitted again, estimator {job.key} answers otherwise than the store says",
            hint="Was it made by another version of scikit-learn? audit.json says which; install that one, or leave "
            "--sensitive out.",
        )
    return fitted


def _logits(model: nn.Module, inputs: npt.NDArray[Any], labels: npt.NDArray[np.int64], device: str) -> Floats:
    if isinstance(model, FittedEstimator):
        return model.log_probabilities(inputs)  # All at once: together they decide what counts for 0.
    return logits_of(model, Samples.from_arrays(inputs, labels, device))
