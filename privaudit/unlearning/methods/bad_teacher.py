"""Bad teacher (Chundawat et al. 2023): a network that knows nothing teaches what is to be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from privaudit.training.loop import logits_of
from privaudit.unlearning.base import Context, Unlearner
from privaudit.unlearning.batch_statistics import train_frozen
from privaudit.unlearning.divergence_losses import distillation
from privaudit.unlearning.parameters import Parameters, setting
from privaudit.unlearning.retain_sampler import RetainStream, batches, share_of_batch


@dataclass(frozen=True)
class BadTeacherParameters(Parameters):
    """The common ones, and what the teachers are asked."""

    temperature: float = setting(1.0, "of both teachers' and the model's softmax", low=0.01)
    retain_share: float = setting(0.3, "of D_r, drawn once, that the good teacher speaks for", low=0.001, high=1)


class BadTeacher(Unlearner):
    """Minimise KL(random network ‖ model) on D_u and KL(original ‖ model) on a share of D_r, with Adam.

    The bad teacher has the model's architecture and fresh weights. A pass over D_u comes with a pass over that share,
    mixed; every sample counts the same. Both teachers speak in eval mode, and BatchNorm keeps its statistics.
    """

    defaults: ClassVar[BadTeacherParameters] = BadTeacherParameters(passes=5, learning_rate=5e-4)
    parameters: BadTeacherParameters
    search: ClassVar[dict[str, tuple[float, ...]]] = {"learning_rate": (1e-4, 1.6e-4, 2.5e-4, 4e-4, 6.3e-4, 1e-3)}

    def __init__(self, context: Context, parameters: BadTeacherParameters) -> None:
        super().__init__(context, parameters)
        self._optimizer = torch.optim.Adam(context.model.parameters(), lr=parameters.learning_rate)
        count = max(1, round(parameters.retain_share * len(context.retain)))
        chosen = torch.randperm(len(context.retain), generator=context.generator)[:count].numpy()
        device = context.samples.labels.device
        self._retain = RetainStream(context.retain[chosen], context.generator, device)
        self._ratio = count / len(context.forget)
        # What the teachers say is asked once: their weights stay, and so do the samples.
        self._teacher = torch.zeros(len(context.samples), context.classes, device=device)
        good = torch.from_numpy(context.retain[chosen]).to(device)
        self._teacher[good] = self.original_logits(context.retain[chosen])
        bad = torch.from_numpy(context.forget).to(device)
        ignorant = logits_of(context.build("bad-teacher"), context.samples, context.forget)
        self._teacher[bad] = torch.from_numpy(ignorant).to(device)

    @property
    def forget_batch_size(self) -> int:
        """Their share of a mixed batch."""
        return share_of_batch(self.parameters.batch_size, self._ratio)

    def step(self, batch: torch.Tensor) -> None:
        retain = self._retain.take_share(self._ratio * len(batch))
        train_frozen(self.context.model)
        for rows in batches(torch.cat([batch, retain]), self.parameters.batch_size):
            loss = distillation(self.logits(rows), self._teacher[rows], self.parameters.temperature)
            self.descend(loss, self._optimizer)
        self.retain_steps += len(retain)
