"""SCRUB (Kurmanji et al. 2023): the student unlearns by disobeying the original on D_u and obeying it on D_r."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from privaudit.unlearning.base import Context, Unlearner
from privaudit.unlearning.batch_statistics import train_frozen
from privaudit.unlearning.divergence_losses import distillation
from privaudit.unlearning.parameters import Parameters, setting
from privaudit.unlearning.retain_sampler import RetainStream


@dataclass(frozen=True)
class ScrubParameters(Parameters):
    """The common ones (``passes`` = m, the epochs that disobey on D_u), and those of the paper's equation 3."""

    epochs: float = setting(10, "epochs that obey on D_r, the first m of them after one that disobeys on D_u", low=1)
    temperature: float = setting(2.0, "of the distillation", low=0.01)
    gamma: float = setting(1.0, "weight γ of the cross-entropy on D_r")
    alpha: float = setting(0.5, "weight α of the divergence on D_r")


class Scrub(Unlearner):
    """In each of the first m epochs maximise KL(original ‖ model) on D_u; in every epoch minimise γ CE + α KL on D_r.

    The sequence hands out ``passes`` = m passes over D_u; only these steps look at forget samples, so they are the
    whole budget. Whenever |D_u| forget samples were handed out, whatever stage they came from, the epoch turns: an
    epoch on D_r follows. `finish` adds the epochs on D_r that are left. BatchNorm keeps its statistics on D_u.
    """

    defaults: ClassVar[ScrubParameters] = ScrubParameters(passes=3, learning_rate=5e-4)
    parameters: ScrubParameters
    search: ClassVar[dict[str, tuple[float, ...]]] = {"learning_rate": (1e-4, 5e-4, 1e-3), "passes": (2, 3)}

    def __init__(self, context: Context, parameters: ScrubParameters) -> None:
        super().__init__(context, parameters)
        self._optimizer = torch.optim.Adam(context.model.parameters(), lr=parameters.learning_rate)
        device = context.samples.labels.device
        self._retain = RetainStream(context.retain, context.generator, device)
        everyone = torch.arange(len(context.samples)).numpy()
        self._original = self.original_logits(everyone)
        self._disobeyed = 0
        self._epochs = 0.0

    def step(self, batch: torch.Tensor) -> None:
        """Disobey; where that completes a pass over D_u, obey for an epoch."""
        train_frozen(self.context.model)
        away = distillation(self.logits(batch), self._original[batch], self.parameters.temperature)
        self.descend(-away, self._optimizer)
        self._disobeyed += len(batch)
        while self._disobeyed >= (self._epochs + 1) * len(self.context.forget) and self._epochs < self._last:
            self._obey(min(1.0, self._last - self._epochs))

    def finish(self) -> None:
        """Obey for the epochs that are left."""
        while self._epochs < self._last:
            self._obey(min(1.0, self._last - self._epochs))

    @property
    def _last(self) -> float:
        return self.parameters.epochs

    def _obey(self, epochs: float) -> None:
        """Descend on D_r for (a share of) an epoch."""
        left = round(epochs * len(self._retain))
        self.context.model.train()
        while left > 0:
            rows = self._retain.take(min(self.parameters.batch_size, left))
            logits = self.logits(rows)
            true = functional.cross_entropy(logits, self.context.samples.labels[rows])
            close = distillation(logits, self._original[rows], self.parameters.temperature)
            self.descend(self.parameters.gamma * true + self.parameters.alpha * close, self._optimizer)
            self.retain_steps += len(rows)
            left -= len(rows)
        self._epochs += epochs
