"""NegGrad+ (Kurmanji et al. 2023): ascend on D_u and descend on D_r at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from privaudit.unlearning.ascent_guard import AscentGuard
from privaudit.unlearning.base import Context, Unlearner
from privaudit.unlearning.batch_statistics import train_frozen
from privaudit.unlearning.parameters import Parameters, setting
from privaudit.unlearning.retain_sampler import RetainStream


@dataclass(frozen=True)
class NegGradPlusParameters(Parameters):
    """The common ones, and the balance of the two terms."""

    alpha: float = setting(0.95, "weight α of the retain term", high=1)


class NegGradPlus(Unlearner):
    """Minimise α CE(D_r) − (1 − α) CE(D_u), a batch of each a step, with momentum SGD.

    It ascends, so it stops where gradient ascent does (`AscentGuard`). BatchNorm keeps its statistics.
    """

    defaults: ClassVar[NegGradPlusParameters] = NegGradPlusParameters(passes=10, learning_rate=0.01)
    parameters: NegGradPlusParameters
    search: ClassVar[dict[str, tuple[float, ...]]] = {"learning_rate": (0.01, 0.03), "alpha": (0.95, 0.97, 0.99)}

    def __init__(self, context: Context, parameters: NegGradPlusParameters) -> None:
        super().__init__(context, parameters)
        self._optimizer = torch.optim.SGD(context.model.parameters(), lr=parameters.learning_rate, momentum=0.9)
        self._retain = RetainStream(context.retain, context.generator, context.samples.labels.device)
        self.guard = AscentGuard(self)

    def step(self, batch: torch.Tensor) -> None:
        alpha, labels = self.parameters.alpha, self.context.samples.labels
        retain = self._retain.take(len(batch))
        train_frozen(self.context.model)
        to_forget = functional.cross_entropy(self.logits(batch), labels[batch])
        self.guard.check(batch, to_forget)
        to_keep = functional.cross_entropy(self.logits(retain), labels[retain])
        self.descend(alpha * to_keep - (1 - alpha) * to_forget, self._optimizer)
        self.retain_steps += len(retain)
