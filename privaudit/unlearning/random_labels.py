"""Random labels (Graves et al. 2021): train on everything, what is to be forgotten under wrong labels."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch.nn import functional

from privaudit.training.loop import as_network_input
from privaudit.unlearning.base import Context, Parameters, StopUnlearning, Unlearner


class RandomLabels(Unlearner):
    """Minimise CE over D_r ∪ relabelled D_u; a forget sample's label is redrawn among the other classes each time.

    Every step mixes forget and retain samples as they are mixed in D, so one pass over D_u comes with one pass
    over D_r. Where that is more than a batch of retain samples for one forget sample (a single request, say), steps on
    retain samples alone follow.
    """

    defaults: ClassVar[Parameters] = Parameters(passes=10, learning_rate=0.01)

    def __init__(self, context: Context, parameters: Parameters) -> None:
        super().__init__(context, parameters)
        self._optimizer = torch.optim.SGD(context.model.parameters(), lr=parameters.learning_rate, momentum=0.9)
        self._retain = torch.from_numpy(context.retain)
        self._waiting = self._retain[:0]
        self._ratio = len(context.retain) / len(context.forget)
        self._owed = 0.0

    @property
    def forget_batch_size(self) -> int:
        """Their share of a batch of D."""
        return max(1, int(self.parameters.batch_size / (1 + self._ratio) + 1e-9))

    def step(self, batch: torch.Tensor) -> None:
        context, samples = self.context, self.context.samples
        device = samples.inputs.device
        self._owed += self._ratio * len(batch)
        count = int(self._owed)
        self._owed -= count
        retain = self._next_retain(count).to(device)
        true = samples.labels[batch]
        offset = torch.randint(1, context.classes, (len(batch),), generator=context.generator).to(device)
        rows = torch.cat([batch, retain])
        labels = torch.cat([(true + offset) % context.classes, samples.labels[retain]])
        context.model.train()
        parts = math.ceil(len(rows) / self.parameters.batch_size)
        for part, target in zip(rows.tensor_split(parts), labels.tensor_split(parts), strict=True):
            self._descend(part, target)
        self.retain_steps += len(retain)

    def _descend(self, rows: torch.Tensor, labels: torch.Tensor) -> None:
        with self.context.hardware.autocast():
            logits = self.context.model(as_network_input(self.context.samples.inputs[rows]))
            loss = functional.cross_entropy(logits.float(), labels)
        if not math.isfinite(loss.item()):
            raise StopUnlearning(f"the loss became {loss.item()}")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()

    def _next_retain(self, count: int) -> torch.Tensor:
        """The next ``count`` rows of endlessly reshuffled D_r."""
        while len(self._waiting) < count:
            shuffled = self._retain[torch.randperm(len(self._retain), generator=self.context.generator)]
            self._waiting = torch.cat([self._waiting, shuffled])
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken
