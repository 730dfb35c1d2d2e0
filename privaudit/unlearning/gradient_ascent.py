"""Gradient ascent (Graves et al. 2021; Thudi et al. 2022): climb the loss of what is to be forgotten."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch.nn import functional

from privaudit.training.loop import as_network_input, logits_of
from privaudit.unlearning.base import Context, Parameters, StopUnlearning, Unlearner

#: Weight of the past in the running mean of the climb.
MEMORY = 0.8


class GradientAscent(Unlearner):
    """θ ← θ + η ∇ CE(θ; D_u), with plain SGD.

    The loss has no upper bound, so ascent left alone destroys the model. It stops once what is to be forgotten costs
    as much as what was never seen: the original model's validation loss, or that of guessing, ln C, whichever is less;
    twice the mean forget loss where that is higher already. What counts is how far the batches climbed from where they
    were under the original model, as a running mean, so that the rule is the same for easy samples and hard ones,
    whichever come first. The model stays in eval mode: D_u must not move BatchNorm's statistics.
    """

    defaults: ClassVar[Parameters] = Parameters(passes=5, learning_rate=1e-2)

    def __init__(self, context: Context, parameters: Parameters) -> None:
        super().__init__(context, parameters)
        self._optimizer = torch.optim.SGD(context.model.parameters(), lr=parameters.learning_rate, maximize=True)
        self._before = self._losses_before()
        mean = float(self._before[torch.from_numpy(context.forget)].mean())
        ceiling = min(math.log(context.classes), context.unseen_loss)
        self._ceiling = ceiling if mean < ceiling else 2 * mean
        self._allowed = self._ceiling - mean
        self._climb = 0.0

    def _losses_before(self) -> torch.Tensor:
        """Loss of every forget sample under the original model, at its row of the pool; 0 elsewhere."""
        context = self.context
        losses = torch.zeros(len(context.samples), device=context.samples.labels.device)
        logits = torch.from_numpy(logits_of(context.model, context.samples, context.forget)).to(losses.device)
        rows = torch.from_numpy(context.forget).to(losses.device)
        losses[rows] = functional.cross_entropy(logits, context.samples.labels[rows], reduction="none")
        return losses

    def step(self, batch: torch.Tensor) -> None:
        context = self.context
        context.model.eval()
        logits = context.model(as_network_input(context.samples.inputs[batch]))
        loss = functional.cross_entropy(logits, context.samples.labels[batch])
        self._check(loss.item(), float(self._before[batch].mean()))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()

    def _check(self, now: float, before: float) -> None:
        if not math.isfinite(now):
            raise StopUnlearning(f"the loss on the forget set became {now}")
        self._climb = MEMORY * self._climb + (1 - MEMORY) * (now - before)
        if self._climb >= self._allowed:
            raise StopUnlearning(
                f"the loss of the forgotten rose by {self._climb:.3g}, to about {self._ceiling:.3g}; samples that were "
                f"never seen cost the original model {self.context.unseen_loss:.3g}, guessing "
                f"{math.log(self.context.classes):.3g}: going on would destroy the model rather than make it forget"
            )
