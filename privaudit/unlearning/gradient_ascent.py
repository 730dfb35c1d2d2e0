"""Gradient ascent (Graves et al. 2021; Thudi et al. 2022): climb the loss of what is to be forgotten."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch.nn import functional

from privaudit.training.loop import as_network_input
from privaudit.unlearning.base import Context, Parameters, StopUnlearning, Unlearner

#: Weight of the past in the running mean of the forget loss.
MEMORY = 0.8


class GradientAscent(Unlearner):
    """θ ← θ + η ∇ CE(θ; D_u), with plain SGD.

    The loss has no upper bound, so ascent left alone destroys the model. It stops once what is to be forgotten costs
    as much as what was never seen (the running mean of the forget loss reaches the original model's validation loss,
    or that of guessing, ln C, whichever is less; twice its own first value where it starts above), and on anything
    that is not a number. The model stays in eval mode: D_u must not move BatchNorm's statistics.
    """

    defaults: ClassVar[Parameters] = Parameters(passes=5, learning_rate=1e-2)

    def __init__(self, context: Context, parameters: Parameters) -> None:
        super().__init__(context, parameters)
        self._optimizer = torch.optim.SGD(context.model.parameters(), lr=parameters.learning_rate, maximize=True)
        self._ceiling = min(math.log(context.classes), context.unseen_loss)
        self._running: float | None = None

    def step(self, batch: torch.Tensor) -> None:
        context = self.context
        context.model.eval()
        logits = context.model(as_network_input(context.samples.inputs[batch]))
        loss = functional.cross_entropy(logits, context.samples.labels[batch])
        self._check(loss.item())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()

    def _check(self, value: float) -> None:
        if not math.isfinite(value):
            raise StopUnlearning(f"the loss on the forget set became {value}")
        if self._running is None:
            self._running = value
            self._ceiling = max(self._ceiling, 2 * value)
        self._running = MEMORY * self._running + (1 - MEMORY) * value
        if self._running >= self._ceiling:
            raise StopUnlearning(
                f"the loss on the forget set reached {self._running:.3g}; samples that were never seen cost the "
                f"original model {self.context.unseen_loss:.3g}, guessing {math.log(self.context.classes):.3g}: going "
                "on would destroy the model rather than make it forget"
            )
