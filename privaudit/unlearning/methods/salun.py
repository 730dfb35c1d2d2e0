"""SalUn (Fan et al. 2024): random labels, but only the weights that matter to D_u may move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import JsonValue
from torch.nn import functional

from privaudit.unlearning.base import Context
from privaudit.unlearning.methods.random_labels import RandomLabels
from privaudit.unlearning.parameters import Parameters, setting
from privaudit.unlearning.retain_sampler import batches


@dataclass(frozen=True)
class SaliencyParameters(Parameters):
    """Random labels', and how many weights may move."""

    share: float = setting(0.5, "of the weights, those of the largest gradient on D_u, that may move", high=1)


class SaliencyUnlearning(RandomLabels):
    """Random labels on the weights whose |∇ CE(θ₀; D_u)| is among the largest ``share`` of all.

    The mask needs one gradient of every forget sample before the first step; it is counted apart. After each step the
    masked weights are θ₀ again, to the bit: momentum or weight decay would move them even at gradient 0.
    """

    defaults: ClassVar[SaliencyParameters] = SaliencyParameters(passes=10, learning_rate=0.013)
    parameters: SaliencyParameters
    search: ClassVar[dict[str, tuple[float, ...]]] = {"learning_rate": (0.01, 0.013, 0.03), "share": (0.3, 0.5)}

    def __init__(self, context: Context, parameters: SaliencyParameters) -> None:
        super().__init__(context, parameters)
        # What is frozen has no gradient, and is not to move.
        self._weights = [weight for weight in context.model.parameters() if weight.requires_grad]
        self._original = [weight.detach().clone() for weight in self._weights]
        self.mask = salient(self._gradient(), parameters.share)

    def _gradient(self) -> list[torch.Tensor]:
        """∇ of the mean CE over D_u under the original model, in eval mode."""
        labels = self.context.samples.labels
        self.context.model.eval()
        total = [torch.zeros_like(weight) for weight in self._weights]
        rows = torch.from_numpy(self.context.forget).to(labels.device)
        for part in batches(rows, self.parameters.batch_size):
            loss = functional.cross_entropy(self.logits(part), labels[part], reduction="sum") / len(rows)
            for sum_, gradient in zip(total, torch.autograd.grad(loss, self._weights), strict=True):
                sum_ += gradient
        self.forget_steps_beside += len(rows)
        return total

    def descend(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        super().descend(loss, optimizer)
        with torch.no_grad():
            for weight, original, mask in zip(self._weights, self._original, self.mask, strict=True):
                weight.copy_(torch.where(mask, weight, original))

    def details(self) -> dict[str, JsonValue]:
        moving = sum(int(mask.sum()) for mask in self.mask)
        return {"share_of_weights": moving / sum(mask.numel() for mask in self.mask)}


def salient(gradients: list[torch.Tensor], share: float) -> list[torch.Tensor]:
    """Masks of the ``share`` of all weights together whose |gradient| is largest, ties by position."""
    sizes = torch.cat([gradient.abs().flatten() for gradient in gradients])
    count = round(share * len(sizes))
    chosen = torch.zeros(len(sizes), dtype=torch.bool, device=sizes.device)
    chosen[sizes.argsort(descending=True, stable=True)[:count]] = True
    parts = chosen.split([gradient.numel() for gradient in gradients])
    return [part.reshape(gradient.shape) for part, gradient in zip(parts, gradients, strict=True)]
