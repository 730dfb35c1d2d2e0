"""A training with canaries that are gradients: what an attacker reads of its steps is kept, and no model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from privaudit.engines.base import Report
from privaudit.results.audit.training_record import ModelRecord
from privaudit.results.base import write_result
from privaudit.runtime import files
from privaudit.runtime.seeds import derive_seed, generator
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.trainer import AuditArrays, TrainingJob, one_thread
from privaudit.training.loop import Samples, seeded_layers
from privaudit.training.private.canary_gradients import CanaryGradients
from privaudit.training.private.loop import train_privately


def trained_numbers(specification: ModelSpecification) -> int:
    """How many numbers of the network are trained, and so how many canaries there can be."""
    return sum(one.numel() for one in specification.build("count").parameters() if one.requires_grad)


def train_planted(job: TrainingJob, inside: npt.NDArray[np.bool_], arrays: AuditArrays, report: Report) -> None:
    """Train on everything and on the canaries that are in, and seal what was read of each step, the record last."""
    specification, store = job.specification, job.store
    recipe, hardware = specification.recipe, specification.hardware
    drawn = generator(specification.seed, "canary-gradients")
    numbers = drawn.choice(trained_numbers(specification), len(inside), replace=False).astype(np.int64)
    planted = CanaryGradients(numbers, inside)
    seed = derive_seed(specification.seed, "train", job.key, 0)

    def on_epoch(epoch: int) -> None:
        report(float(epoch * len(job.members)))

    with one_thread(hardware), seeded_layers(seed, hardware.torch_device):
        pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, hardware.device)
        model = specification.build(job.key, 0)
        record = train_privately(model, pool, job.members, recipe, seed, hardware, on_epoch, planted)
    files.write_array(store.steps_read, planted.observed())
    files.seal(store.steps_read)
    kept = ModelRecord(
        seed_offset=0,
        seconds=round(record.seconds, 3),
        members=len(job.members),
        epoch_losses=[round(loss, 6) for loss in record.epoch_losses],
        queries=list(job.queries),
        torch=str(torch.__version__),
    )
    write_result(store.record(job.key), kept)
