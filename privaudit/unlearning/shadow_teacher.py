"""Shadow teacher: each forget sample is taught what models that never saw it say.

The shadow models were trained to measure who leaks. For any scattered sample half of them never saw it: what they say
of it, on average, is what a model retrained without it may be expected to say. No other teacher is that close, and this
one was paid for by the audit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.nn import functional

from privaudit.errors import UsageError
from privaudit.unlearning.base import Context, Unlearner
from privaudit.unlearning.divergences import kl_to
from privaudit.unlearning.normalisation import train_frozen
from privaudit.unlearning.parameters import Parameters, setting
from privaudit.unlearning.retain import RetainStream, share_of_batch
from privaudit.unlearning.teachers import power_of_one, sharpened

#: Share of the budget in which the learning rate rises, and the share of its peak that it never falls below.
WARMUP = 0.1
LOWEST_RATE = 0.01


@dataclass(frozen=True)
class ShadowTeacherParameters(Parameters):
    """The common ones (``learning_rate`` is the peak of a cycle), and how teaching and keeping are weighed."""

    retain_ratio: float = setting(8.0, "retain samples a step for each forget sample", low=0.01)
    forget_weight: float = setting(0.2, "weight w of the forget term; 1 − w is the retain term's", high=1)
    power: float = setting(0.0, "the teachers' mean is raised to; 0: as sure as one teacher, 1: the mean as it is")
    fresh_teachers: int = setting(0, "train this many teachers that exclude D_u, instead of asking shadow models")
    fresh_share: float = setting(0.1, "of D_r, drawn anew for each fresh teacher", low=0.001, high=1)


class ShadowTeacher(Unlearner):
    """Minimise w KL(q ‖ model) on D_u + (1 − w) CE on D_r, q being what the teachers say of each forget sample.

    q is the mean softmax of the teaching shadow models that never saw the sample, raised to the power that makes it as
    sure as one of them (`power_of_one`). The learning rate rises and falls once over the budget, whatever the stages:
    at its height D_u is unlearned, and while it falls D_r comes back. Momentum SGD; BatchNorm keeps its statistics.
    """

    defaults: ClassVar[ShadowTeacherParameters] = ShadowTeacherParameters(passes=5, learning_rate=0.05, batch_size=144)
    search: ClassVar[dict[str, tuple[float, ...]]] = {
        "learning_rate": (0.03, 0.05, 0.08),
        "forget_weight": (0.15, 0.25),
    }
    parameters: ShadowTeacherParameters
    needs_teachers: ClassVar[bool] = True

    def __init__(self, context: Context, parameters: ShadowTeacherParameters) -> None:
        super().__init__(context, parameters)
        if context.teachers is None:
            raise UsageError(f"shadow-teacher is not applicable: {context.no_teachers}")
        self._teachers = context.teachers()
        self.retain_steps += self._teachers.trained_samples
        self.power = parameters.power or power_of_one(self._teachers)
        self._answers = sharpened(self._teachers.mean, self.power)
        self._optimizer = torch.optim.SGD(context.model.parameters(), lr=parameters.learning_rate, momentum=0.9)
        self._retain = RetainStream(context.retain, context.generator, context.samples.labels.device)
        self._budget = max(1, round(parameters.passes * len(context.forget)))
        self._taught = 0

    @property
    def forget_batch_size(self) -> int:
        """Their share of a mixed batch."""
        return share_of_batch(self.parameters.batch_size, self.parameters.retain_ratio)

    def step(self, batch: torch.Tensor) -> None:
        # A few requests alone make small batches: retain samples fill them, or the steps would be noise.
        filled = self.parameters.batch_size - self.forget_batch_size
        retain = self._retain.take(max(1, filled, round(self.parameters.retain_ratio * len(batch))))
        self._optimizer.param_groups[0]["lr"] = self.parameters.learning_rate * cycle(
            (self._taught + len(batch) / 2) / self._budget
        )
        train_frozen(self.context.model)
        self.descend_in_parts(self._losses(batch, retain), self._optimizer)
        self._taught += len(batch)
        self.retain_steps += len(retain)

    def _losses(self, batch: torch.Tensor, retain: torch.Tensor) -> Iterator[torch.Tensor]:
        """The loss as a sum over samples; on a CPU in two halves, each of which stays in the cache."""
        labels, weight = self.context.samples.labels, self.parameters.forget_weight
        for part, kept in enumerate(retain.chunk(1 if retain.is_cuda else 2)):
            taught = batch if part == 0 else batch[:0]
            logits = self.logits(torch.cat([taught, kept]))
            answers = self._answers[self._teachers.position(taught)]
            to_forget = kl_to(logits[: len(taught)], answers).sum() / len(batch)
            to_keep = functional.cross_entropy(logits[len(taught) :], labels[kept], reduction="sum") / len(retain)
            yield weight * to_forget + (1 - weight) * to_keep

    def details(self) -> dict[str, Any]:
        return {
            "teachers": float(self._teachers.count.mean()),
            "power": self.power,
            "teacher_training_samples": self._teachers.trained_samples,
        }


def cycle(progress: float) -> float:
    """The learning rate as a share of its peak: linear up, then half a cosine down; never quite 0."""
    if progress < WARMUP:
        share = progress / WARMUP
    else:
        share = 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARMUP) / (1 - WARMUP))))
    return max(LOWEST_RATE, share)
