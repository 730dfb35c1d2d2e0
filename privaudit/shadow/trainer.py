"""Training of the target and the shadow models, each a job that leaves its files in the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.torch
import torch
from torch import nn

from privaudit.engines.base import Engine, Report, run_jobs
from privaudit.errors import DataError, TrainingDiverged
from privaudit.estimators.fitted import fit_estimator, fit_untrained
from privaudit.estimators.stored_answers import StoredAnswers, as_stored
from privaudit.networks import untied
from privaudit.results.audit.training_record import ModelRecord
from privaudit.results.base import read_result, write_result
from privaudit.runtime import files
from privaudit.runtime.progress import progress, talk
from privaudit.runtime.seeds import derive_seed
from privaudit.runtime.torch_globals import full_fp32, pin_cublas, pinned_cudnn
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import COIN, REMEDY, TARGET, AuditStore
from privaudit.signals import signals_of
from privaudit.training.custom_training import load_training, train_by_function
from privaudit.training.hardware import Hardware, keep_freed_memory
from privaudit.training.loop import Samples, TrainingRecord, logits_of, train
from privaudit.training.views import ORIGINAL, QUERIES

#: How many seeds a training that diverges is tried with.
MOST_ATTEMPTS = 5


@dataclass(frozen=True)
class AuditArrays:
    """What every worker needs of the data.

    ``pool`` holds the training samples and then the canaries; ``test`` the never-trained samples; ``control_rows`` the
    rows of the pool that untrained models are asked about.
    """

    pool_inputs: npt.NDArray[Any]
    pool_labels: npt.NDArray[np.int64]
    test_inputs: npt.NDArray[Any]
    test_labels: npt.NDArray[np.int64]
    control_rows: npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingJob:
    """One model to train: its key in the store and the rows of the pool that it sees.

    ``planted`` says of each canary that is a gradient whether it is in.
    """

    key: str
    members: npt.NDArray[np.int64]
    specification: ModelSpecification
    store: AuditStore
    queries: tuple[str, ...] = ORIGINAL
    planted: npt.NDArray[np.bool_] | None = None


def train_with_new_seeds(
    specification: ModelSpecification,
    samples: Samples,
    members: npt.NDArray[np.int64],
    purpose: Sequence[str | int],
    report: Report | None = None,
) -> tuple[nn.Module, TrainingRecord, list[str]]:
    """Train one model; where it diverges, say so and try again with another seed.

    Returns
    -------
    tuple
        The model in eval mode, its training record, and why each seed before failed: their number is the seed's
        offset.
    """
    if specification.estimator is not None:
        return *_fit(specification, specification.estimator, samples, members, purpose, report), []
    diverged: list[str] = []
    for offset in range(MOST_ATTEMPTS):
        model = specification.build(*purpose, offset)

        seed = derive_seed(specification.seed, "train", *purpose, offset)
        try:
            record = _train(specification, model, samples, members, seed, report)
        except TrainingDiverged as error:
            diverged.append(error.message)
            talk(f"  model {'/'.join(map(str, purpose))} diverged ({error.message}); trying seed offset {offset + 1}")
            continue
        return model, record, diverged
    raise TrainingDiverged(
        f"model {'/'.join(map(str, purpose))} diverged with {MOST_ATTEMPTS} seeds; the last time {diverged[-1]}",
        hint="Try a lower learning rate; what was finished before is kept.",
    )


def _fit(
    specification: ModelSpecification,
    estimator: str,
    samples: Samples,
    members: npt.NDArray[np.int64],
    purpose: Sequence[str | int],
    report: Report | None,
) -> tuple[nn.Module, TrainingRecord]:
    """Fit an estimator to its members alone; which seed it has is decided by its purpose."""
    rows = torch.from_numpy(np.ascontiguousarray(members))
    inputs, labels = samples.inputs[rows].numpy(), samples.labels[rows].numpy()
    seed = derive_seed(specification.seed, "train", *purpose, 0)
    model, seconds = fit_estimator(estimator, inputs, labels, specification.classes, seed)
    if report is not None:
        report(float(len(members)))
    return model, TrainingRecord(seconds, [], len(members))


def _train(
    specification: ModelSpecification,
    model: nn.Module,
    samples: Samples,
    members: npt.NDArray[np.int64],
    seed: int,
    report: Report | None,
) -> TrainingRecord:
    """By the recipe or by the user's function; either reports in samples, each as often as the recipe takes it."""
    recipe, hardware = specification.recipe, specification.hardware

    def on_share(share: float) -> None:
        if report is not None:
            report(share * len(members) * recipe.epochs)

    if specification.training is not None:
        function = load_training(specification.training)
        return train_by_function(function, specification.training, model, samples, members, seed, hardware, on_share)
    return train(model, samples, members, recipe, seed, hardware, lambda epoch: on_share(epoch / recipe.epochs))


def train_job(job: TrainingJob, arrays: AuditArrays, report: Report) -> None:
    """Train one model, compute its signals and seal its files, the record last."""
    specification, store = job.specification, job.store
    if job.planted is not None:
        from privaudit.shadow.planted_training import train_planted  # It is built of this file's parts.

        return train_planted(job, job.planted, arrays, report)
    with one_thread(specification.hardware):
        pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, specification.hardware.device)
        model, record, diverged = train_with_new_seeds(specification, pool, job.members, [job.key], report)
        model = as_kept(model, arrays)
        save_model(model, store.model(job.key))
        test_accuracy = write_signals(job, model, pool, arrays)
    kept = ModelRecord(
        seed_offset=len(diverged),
        diverged=diverged,
        seconds=round(record.seconds, 3),
        members=len(job.members),
        epoch_losses=[round(loss, 6) for loss in record.epoch_losses],
        test_accuracy=test_accuracy,
        queries=list(job.queries),
        torch=str(torch.__version__),
    )
    write_result(store.record(job.key), kept)
    return None


def query_job(job: TrainingJob, arrays: AuditArrays, report: Report) -> None:
    """Ask a finished model again, with other queries: its weights stay, its signals are replaced, its record last."""
    specification, store = job.specification, job.store
    if not files.is_whole(store.record(job.key)):
        # A worker was lost here before, between two of the lines below: what is unfinished is made anew, to the bit.
        train_job(job, arrays, lambda _: None)
        report(1.0)
        return
    record = read_record(store, job.key)
    # From here until the record is sealed again the model counts as unfinished.
    files.remove(store.record(job.key))
    with one_thread(specification.hardware):
        pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, specification.hardware.device)
        write_signals(job, load_model(specification, store.model(job.key)), pool, arrays)
    report(1.0)
    write_result(store.record(job.key), record.model_copy(update={"queries": list(job.queries)}))


def write_signals(job: TrainingJob, model: nn.Module, pool: Samples, arrays: AuditArrays) -> float:
    """Write a model's signals and its controls'; return its accuracy on the test set."""
    specification, store = job.specification, job.store
    test = Samples.from_arrays(arrays.test_inputs, arrays.test_labels, specification.hardware.device)
    test_signals = signals_on(model, test, queries=job.queries)
    parts = {store.signals(job.key): signals_on(model, pool, queries=job.queries)}
    parts[store.control("test", job.key)] = test_signals
    if job.key not in (TARGET, COIN):
        untrained = untrained_model(specification, job.key, arrays)
        parts[store.control("untrained", job.key)] = signals_on(untrained, pool, arrays.control_rows)
    for path, signals in parts.items():
        files.write_array(path, signals)
        files.seal(path)
    return float((test_signals[:, 0, 0] > 0).mean())


def find_missing(jobs: Sequence[TrainingJob]) -> list[TrainingJob]:
    """The jobs whose models the store lacks; damaged files are named and set aside, to be made again, to the bit."""
    missing = []
    for job in jobs:
        finished, aside = job.store.mend(job.key)
        for path in aside:
            talk(f"  damaged: {path} (not what was sealed there); model {job.key} is made again")
        if not finished:
            missing.append(job)
    return missing


def find_asked_otherwise(jobs: Sequence[TrainingJob]) -> list[TrainingJob]:
    """The jobs whose finished models were asked other queries, or for fewer signals, than are wanted now."""
    return [
        job
        for job in jobs
        if job.planted is None
        and (
            tuple(read_record(job.store, job.key).queries or ORIGINAL) != job.queries
            or not job.store.holds_every_signal(job.key)
        )
    ]


def query_all(jobs: Sequence[TrainingJob], arrays: AuditArrays, engine: Engine) -> None:
    """Ask every job's model again."""
    if jobs:
        with progress(f"querying {len(jobs)} models", len(jobs)) as bar:
            run_jobs(query_job, jobs, arrays, engine, bar)


def train_all(jobs: Sequence[TrainingJob], arrays: AuditArrays, engine: Engine) -> None:
    """Train every job's model."""
    if jobs:
        work = sum(len(job.members) * job.specification.recipe.epochs for job in jobs)
        with progress(f"training {len(jobs)} models", work) as bar:
            run_jobs(train_job, jobs, arrays, engine, bar)


def signals_on(
    model: nn.Module,
    samples: Samples,
    rows: npt.NDArray[np.int64] | None = None,
    queries: tuple[str, ...] = ORIGINAL,
) -> npt.NDArray[np.float32]:
    """Signals ``[N, Q, K]`` of a model on (some rows of) the samples in eval mode and fp32, query 0 unaugmented."""
    labels = samples.labels.cpu().numpy()
    labels = labels if rows is None else labels[rows]
    views = [seen_as for name in queries for seen_as in QUERIES[name]]
    return np.stack([signals_of(logits_of(model, samples, rows, seen_as), labels) for seen_as in views], axis=1)


def untrained_model(specification: ModelSpecification, key: str, arrays: AuditArrays) -> nn.Module:
    """Return a model that knows nothing of the pool: a fresh network; an estimator fitted to test rows, labels mixed.

    An estimator that is not fitted says nothing at all.
    """
    if specification.estimator is None:
        return specification.build("untrained", key)
    seed = derive_seed(specification.seed, "initialise", "untrained", key)
    test = (arrays.test_inputs, arrays.test_labels)
    return fit_untrained(specification.estimator, *test, specification.classes, seed)


def as_kept(model: nn.Module, arrays: AuditArrays) -> nn.Module:
    """Return what the store keeps of a model: of an estimator, its answers about all samples that there are."""
    return as_stored(model, [arrays.pool_inputs, arrays.test_inputs])


def save_model(model: nn.Module, path: Path) -> None:
    """Save and seal a model's weights and buffers as safetensors; tied ones are written under each of their names."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    files.write_bytes(path, safetensors.torch.save(untied(tensors)))
    files.seal(path)


def load_model(specification: ModelSpecification, path: Path) -> nn.Module:
    """Load weights into a fresh network on the device, in eval mode."""
    files.demand_whole(path, "Run the command that made it again.")
    model = specification.build("load")
    try:
        tensors = safetensors.torch.load(path.read_bytes())
        if specification.estimator is not None:
            return StoredAnswers.read(tensors).eval()
        model.load_state_dict(tensors)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise DataError(
            f"cannot load {path} into network '{specification.network}': {str(error)[:300]}",
            hint="Run the command that made it again.",
        ) from error
    return model.eval()


@contextmanager
def one_thread(hardware: Hardware) -> Iterator[None]:
    """Compute with one thread, by fixed kernels on a GPU, and fp32 in full: then the bits never vary.

    On a GPU too: what is computed beside it (whitening filters, say) is to come out the same in a process that trains
    alone and in one of several, and threads of several commands that wait for one another wait for minutes.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    if hardware.device == "cuda":
        pin_cublas()  # Processes on other nodes of a cluster have their own environment.
    if hardware.device == "cpu":
        keep_freed_memory()
    try:
        with full_fp32(), pinned_cudnn():
            yield
    finally:
        torch.set_num_threads(before)


def read_record(store: AuditStore, key: str) -> ModelRecord:
    """How a model was trained."""
    files.demand_whole(store.record(key), REMEDY)
    return read_result(store.record(key), ModelRecord)
