"""Random labels (Graves et al. 2021): train on everything, what is to be forgotten under wrong labels."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn import functional

from privaudit.unlearning.base import Context, Parameters, Unlearner
from privaudit.unlearning.retain_sampler import RetainStream, batches, share_of_batch


class RandomLabels(Unlearner):
    """Minimise CE over D_r ∪ relabelled D_u; a forget sample's label is redrawn among the other classes each time.

    Every step mixes forget and retain samples as they are mixed in D, so one pass over D_u comes with one pass
    over D_r. Where that is more than a batch of retain samples for one forget sample (a single request, say), steps on
    retain samples alone follow.
    """

    defaults: ClassVar[Parameters] = Parameters(passes=10, learning_rate=0.01)
    search: ClassVar[dict[str, tuple[float, ...]]] = {"learning_rate": (0.01, 0.016, 0.025, 0.04, 0.063, 0.1)}

    def __init__(self, context: Context, parameters: Parameters) -> None:
        super().__init__(context, parameters)
        self._optimizer = torch.optim.SGD(context.model.parameters(), lr=parameters.learning_rate, momentum=0.9)
        self._retain = RetainStream(context.retain, context.generator, context.samples.labels.device)
        self._ratio = len(context.retain) / len(context.forget)

    @property
    def forget_batch_size(self) -> int:
        """Their share of a batch of D."""
        return share_of_batch(self.parameters.batch_size, self._ratio)

    def step(self, batch: torch.Tensor) -> None:
        context, size = self.context, self.parameters.batch_size
        retain = self._retain.take_share(self._ratio * len(batch))
        true = context.samples.labels[batch]
        offset = torch.randint(1, context.classes, (len(batch),), generator=context.generator)
        offset = offset.to(true.device, non_blocking=True)
        rows = torch.cat([batch, retain])
        labels = torch.cat([(true + offset) % context.classes, context.samples.labels[retain]])
        context.model.train()
        for part, target in zip(batches(rows, size), batches(labels, size), strict=True):
            self.descend(functional.cross_entropy(self.logits(part), target), self._optimizer)
        self.retain_steps += len(retain)
