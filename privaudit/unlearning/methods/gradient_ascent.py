"""Gradient ascent (Graves et al. 2021; Thudi et al. 2022): climb the loss of what is to be forgotten."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch.nn import functional

from privaudit.unlearning.ascent_guard import AscentGuard
from privaudit.unlearning.base import Context, Parameters, Unlearner


class GradientAscent(Unlearner):
    """θ ← θ + η ∇ CE(θ; D_u), with plain SGD.

    It stops once the forgotten cost as much as the never-seen (`AscentGuard`). The model stays in eval mode: D_u must
    not move BatchNorm's statistics.
    """

    defaults: ClassVar[Parameters] = Parameters(passes=5, learning_rate=1e-2)
    search: ClassVar[dict[str, tuple[float, ...]]] = {"learning_rate": (1e-4, 3e-4, 1e-3, 3e-3, 6e-3, 1e-2)}

    def __init__(self, context: Context, parameters: Parameters) -> None:
        super().__init__(context, parameters)
        self._optimizer = torch.optim.SGD(context.model.parameters(), lr=parameters.learning_rate, maximize=True)
        self.guard = AscentGuard(self)

    def step(self, batch: torch.Tensor) -> None:
        self.context.model.eval()
        loss = functional.cross_entropy(self.logits(batch), self.context.samples.labels[batch])
        self.guard.check(batch, loss)
        self.descend(loss, self._optimizer)
