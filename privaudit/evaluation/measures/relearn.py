"""Relearn time: how soon a model that forgot knows its forget set again."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from privaudit.results.unlearning.run import RelearnRatio
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, as_network_input, logits_of, seeded_layers

#: How much dearer than under the original model D_u may be to count as relearned, and the loss that always counts.
NEARLY = 1.05
LOW_LOSS = 0.05


@dataclass(frozen=True)
class RelearnSettings:
    """How a model is made to learn the forget set again: plain momentum SGD at a constant rate, no augmentation."""

    learning_rate: float = 0.01
    momentum: float = 0.9
    batch_size: int = 128
    limit: int = 400
    look_every: int = 5


@dataclass(frozen=True)
class RelearnTime:
    """Steps until the loss was low again, a multiple of how often one looked; None where the limit came first."""

    steps: int | None
    limit: int


def relearn_target(original_loss: float) -> float:
    """The mean loss on D_u at which it counts as relearned: max(1.05 × the original model's, .05)."""
    return max(NEARLY * original_loss, LOW_LOSS)


def relearn_time(
    model: nn.Module,
    samples: Samples,
    forget: npt.NDArray[np.int64],
    target: float,
    seed: int,
    hardware: Hardware,
    settings: RelearnSettings | None = None,
) -> RelearnTime:
    """Train a copy of ``model`` on D_u until its mean loss there is at most ``target``.

    Parameters
    ----------
    model
        Left as it is.
    samples, forget
        The pool, and int64 rows of D_u.
    target
        From `relearn_target`.
    seed
        Decides the order of samples; the same for every model that is compared.
    hardware
        Device and precision.
    settings
        Rates and limits.
    """
    settings = settings or RelearnSettings()
    copied = copy.deepcopy(model)
    if mean_loss(copied, samples, forget) <= target:
        return RelearnTime(0, settings.limit)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(copied.parameters(), lr=settings.learning_rate, momentum=settings.momentum)
    device = samples.device
    rows = torch.from_numpy(forget)
    waiting = rows[:0]
    with seeded_layers(seed, device):
        for step in range(1, settings.limit + 1):
            while len(waiting) < min(settings.batch_size, len(rows)):
                waiting = torch.cat([waiting, rows[torch.randperm(len(rows), generator=generator)]])
            batch, waiting = (
                waiting[: settings.batch_size].to(device, non_blocking=True),
                waiting[settings.batch_size :],
            )
            copied.train(len(batch) > 1)
            with hardware.autocast():
                logits = copied(as_network_input(samples.take(batch)))
                loss = functional.cross_entropy(logits.float(), samples.labels[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if step % settings.look_every == 0 and mean_loss(copied, samples, forget) <= target:
                return RelearnTime(step, settings.limit)
    return RelearnTime(None, settings.limit)


def mean_loss(model: nn.Module, samples: Samples, rows: npt.NDArray[np.int64]) -> float:
    """Mean cross-entropy of some rows in eval mode, in nats; infinite where a logit is no number."""
    logits = torch.from_numpy(logits_of(model, samples, rows)).double()
    loss = float(functional.cross_entropy(logits, samples.labels[torch.from_numpy(rows)].cpu()))
    return loss if np.isfinite(loss) else float("inf")


def relearn_ratio(unlearned: RelearnTime, retrained: RelearnTime) -> RelearnRatio:
    """Return a model's relearn time over the retrained one's: 1 is as if it had never seen them.

    ``bound`` is None where the value is exact, ``"at most"`` where the retrained model reached the limit, ``"at
    least"`` where the other one did, ``"unknown"`` (no value) where both did or the retrained model had nothing to
    relearn.
    """
    steps, of_retrained = unlearned.steps, retrained.steps
    if of_retrained == 0 or (steps is None and of_retrained is None):
        return RelearnRatio(value=None, bound="unknown")
    if of_retrained is None:
        value = 0.0 if steps is None else steps / retrained.limit
        return RelearnRatio(value=value, bound="at most" if steps else None)
    if steps is None:
        return RelearnRatio(value=unlearned.limit / of_retrained, bound="at least")
    return RelearnRatio(value=steps / of_retrained, bound=None)
