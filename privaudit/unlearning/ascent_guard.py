"""When ascent has done its work: the loss on D_u has no upper bound, and climbing on ruins a model."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from privaudit.unlearning.base import StopUnlearning, Unlearner

#: Weight of the past in the running mean of the climb.
MEMORY = 0.8


class AscentGuard:
    """Stops ascent once what is to be forgotten costs as much as what was never seen.

    That is the original model's validation loss, or that of guessing, ln C, whichever is less; twice the mean forget
    loss where that is higher already. What counts is how far the batches climbed from where they were under the
    original model, as a running mean, so that the rule is the same for easy samples and hard ones, whichever come
    first.

    Parameters
    ----------
    unlearner
        Before its first step.
    """

    def __init__(self, unlearner: Unlearner) -> None:
        context = self._context = unlearner.context
        labels = context.samples.labels
        rows = torch.from_numpy(context.forget).to(labels.device)
        before = functional.cross_entropy(unlearner.original_logits(context.forget), labels[rows], reduction="none")
        # At a sample's row of the pool; 0 where nothing is asked.
        self._before = torch.zeros(len(labels), device=labels.device)
        self._before[rows] = before
        self._mean = mean = float(before.mean())
        self._unseen_loss = context.unseen_loss()
        ceiling = min(math.log(context.classes), self._unseen_loss)
        self.ceiling = ceiling if mean < ceiling else 2 * mean
        self._allowed = self.ceiling - mean
        self._climb = 0.0

    def check(self, batch: torch.Tensor, mean_loss: torch.Tensor) -> None:
        """Raise `StopUnlearning` where ascent on these rows, of this mean loss now, must go no further."""
        # Both numbers at once: each look at one of them lets a card wait.
        loss, before = torch.stack([mean_loss.detach(), self._before[batch].mean()]).tolist()
        if not math.isfinite(loss):
            raise StopUnlearning(f"the loss on the forget set became {loss}")
        self._climb = MEMORY * self._climb + (1 - MEMORY) * (loss - before)
        if self._climb >= self._allowed:
            raise StopUnlearning(
                f"the loss of the forgotten rose by {self._climb:.3g}, to about {self._mean + self._climb:.3g}, where "
                f"{self.ceiling:.3g} is enough: samples that were never seen cost the original model "
                f"{self._unseen_loss:.3g}, guessing {math.log(self._context.classes):.3g}; going on would destroy the "
                "model rather than make it forget"
            )
