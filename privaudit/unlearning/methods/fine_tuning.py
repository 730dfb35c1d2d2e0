"""Fine-tuning (Warnecke et al. 2023; Golatkar et al. 2020): train on, without what is to be forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch.nn import functional

from privaudit.unlearning.base import Context, Parameters, Unlearner
from privaudit.unlearning.retain_sampler import RetainStream


class FineTuning(Unlearner):
    """Minimise CE over D_r from the original model on, with momentum SGD; it relies on D_u fading by itself."""

    defaults: ClassVar[Parameters] = Parameters(passes=10, learning_rate=0.05)
    takes_forget_steps: ClassVar[bool] = False
    search: ClassVar[dict[str, tuple[float, ...]]] = {"learning_rate": (0.01, 0.016, 0.025, 0.04, 0.063, 0.1)}

    def __init__(self, context: Context, parameters: Parameters) -> None:
        super().__init__(context, parameters)
        self._optimizer = torch.optim.SGD(context.model.parameters(), lr=parameters.learning_rate, momentum=0.9)

    def run(self, report: Callable[[float], None]) -> None:
        context = self.context
        labels = context.samples.labels
        stream = RetainStream(context.retain, context.generator, labels.device)
        total = round(self.parameters.passes * len(stream))
        context.model.train()
        while self.retain_steps < total:
            rows = stream.take(min(self.parameters.batch_size, total - self.retain_steps))
            loss = functional.cross_entropy(self.logits(rows), labels[rows])
            self.descend(loss + self.penalty(self.retain_steps / total), self._optimizer)
            self.retain_steps += len(rows)
            report(self.retain_steps / total)

    def penalty(self, progress: float) -> torch.Tensor | float:
        """What is added to the loss when this share of the training, 0 … 1, is done."""
        return 0.0
