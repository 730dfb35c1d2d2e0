"""Gradient ascent (Graves et al. 2021; Thudi et al. 2022): climb the loss of what is to be forgotten."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch.nn import functional

from privaudit.training.loop import as_network_input
from privaudit.unlearning.base import Context, Parameters, StopUnlearning, Unlearner


class GradientAscent(Unlearner):
    """θ ← θ + η ∇ CE(θ; D_u), with plain SGD.

    The loss has no upper bound, so ascent left alone destroys the model. It stops once a batch's loss has reached
    that of guessing, ln C (a batch that starts above it may still rise to twice its first value), and on anything
    that is not a number. The model stays in eval mode: D_u must not move BatchNorm's statistics.
    """

    defaults: ClassVar[Parameters] = Parameters(passes=5, learning_rate=1e-3)

    def __init__(self, context: Context, parameters: Parameters) -> None:
        super().__init__(context, parameters)
        self._optimizer = torch.optim.SGD(context.model.parameters(), lr=parameters.learning_rate, maximize=True)
        self._guessing = math.log(context.classes)
        self._highest = self._guessing
        self._first = True

    def step(self, batch: torch.Tensor) -> None:
        context = self.context
        context.model.eval()
        logits = context.model(as_network_input(context.samples.inputs[batch]))
        loss = functional.cross_entropy(logits, context.samples.labels[batch])
        value = loss.item()
        if self._first:
            self._highest = max(self._guessing, 2 * value)
            self._first = False
        if not math.isfinite(value):
            raise StopUnlearning(f"the loss on the forget set became {value}")
        if value >= self._highest:
            raise StopUnlearning(
                f"the loss on the forget set reached {value:.2f}; guessing among {context.classes} classes costs "
                f"{self._guessing:.2f}, so going on would only destroy the model"
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
