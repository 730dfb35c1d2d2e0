"""Shadow teacher: each forget sample is taught what models that never saw it say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.nn import functional

from privaudit.errors import UsageError
from privaudit.unlearning.base import Context, Unlearner
from privaudit.unlearning.divergences import kl_to
from privaudit.unlearning.normalisation import train_frozen
from privaudit.unlearning.parameters import Parameters, setting
from privaudit.unlearning.retain import RetainStream


@dataclass(frozen=True)
class ShadowTeacherParameters(Parameters):
    """The common ones, and how the two terms are weighed."""

    retain_ratio: float = setting(8.0, "retain samples for each forget sample")
    fresh_teachers: int = setting(0, "train this many teachers that exclude D_u, instead of asking shadow models")
    fresh_share: float = setting(0.25, "of D_r, drawn anew for each fresh teacher", low=0.001, high=1)


class ShadowTeacher(Unlearner):
    """Minimise KL(shadow models that never saw x ‖ model) over D_u + CE over D_r."""

    defaults: ClassVar[ShadowTeacherParameters] = ShadowTeacherParameters(passes=6, learning_rate=0.03)
    search: ClassVar[dict[str, tuple[float, ...]]] = {"learning_rate": (0.01, 0.016, 0.025, 0.04, 0.063, 0.1)}
    parameters: ShadowTeacherParameters
    needs_teachers: ClassVar[bool] = True

    def __init__(self, context: Context, parameters: ShadowTeacherParameters) -> None:
        super().__init__(context, parameters)
        if context.teachers is None:
            raise UsageError(f"shadow-teacher is not applicable: {context.no_teachers}")
        self._teachers = context.teachers()
        self.retain_steps += self._teachers.trained_samples
        self._optimizer = torch.optim.SGD(context.model.parameters(), lr=parameters.learning_rate, momentum=0.9)
        self._retain = RetainStream(context.retain, context.generator, context.samples.labels.device)

    def step(self, batch: torch.Tensor) -> None:
        labels = self.context.samples.labels
        retain = self._retain.take_share(self.parameters.retain_ratio * len(batch))
        train_frozen(self.context.model)
        to_forget = kl_to(self.logits(batch), self._teachers.mean[self._teachers.position(batch)]).mean()
        to_keep = functional.cross_entropy(self.logits(retain), labels[retain])
        self.descend((to_forget + to_keep) / 2, self._optimizer)
        self.retain_steps += len(retain)

    def details(self) -> dict[str, Any]:
        return {
            "teachers": float(self._teachers.count.mean()),
            "teacher_training_samples": self._teachers.trained_samples,
        }
