"""Shadow teacher: go on training as the model was trained, each forget sample labelled by models that never saw it.

A model that was trained on is seldom ruined by being trained on as before. What changes is what it is told of D_u: no
labels any more, but the soft answers of models without the sample. The shadow models that never saw it are such models
(they were paid for by the audit); for whole classes it is the model itself, its answer without those classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import JsonValue
from torch.nn import functional

from privaudit.errors import UsageError
from privaudit.networks.data_dependent_init import AdaptsToInputs
from privaudit.training.augment import Augmenter
from privaudit.training.averaging import AverageWeights
from privaudit.training.loop import as_network_input, make_optimizer
from privaudit.training.recipe import RECIPES, Recipe
from privaudit.unlearning.base import Context, Unlearner
from privaudit.unlearning.parameters import Parameters, setting
from privaudit.unlearning.retain_sampler import RetainStream, batches

#: Share of the budget in which the learning rate rises.
WARMUP = 0.2

#: How a model was trained that a function of the user's trained: nobody knows, so it is gone on with like this.
UNKNOWN = RECIPES["fast"]


@dataclass(frozen=True)
class ShadowTeacherParameters(Parameters):
    """Shares of the recipe that the model was trained by: passes, rate and batches are the recipe's own."""

    unused: ClassVar[tuple[str, ...]] = ("passes", "learning_rate", "batch_size")

    rate: ClassVar[str] = "peak"

    effort: float = setting(0.25, "gradients, as a share of a retraining's", low=0.001)
    peak: float = setting(0.6, "highest learning rate, as a share of the recipe's")
    oversampling: float = setting(4.0, "passes over D_u for each pass over D_r", low=0.01)
    most: float = setting(0.25, "at most this share of a batch is forget samples", low=0.001, high=0.9)
    fresh_teachers: int = setting(0, "train this many teachers that exclude D_u, instead of asking shadow models")
    cycles: int = setting(0, "stop by evidence, after at most so many cycles; 0: one fixed budget, effort")
    cycle_effort: float = setting(0.1, "of one of these, as a share of a retraining's gradients", low=0.001)
    neighbours: int = setting(0, "nearest, of which a teacher is to have seen the fewest forgotten ones; 0: any")
    fresh_share: float = setting(0.1, "of D_r, drawn anew for each fresh teacher", low=0.001, high=1)
    fresh_near: float = setting(
        0.0, "of D_r, nearest to D_u by the inputs, for each fresh teacher beside those", high=1
    )

    def times(self, passes: float) -> Self:
        return replace(self, effort=self.effort * passes)


class ShadowTeacher(Unlearner):
    """Minimise CE(q, θ) over batches of D_r and oversampled D_u, q being labels on D_r and a teacher's answer on D_u.

    Trained as the model was: momentum, weight decay, precision, augmentation, averaging and BatchNorm of its recipe.
    The learning rate rises and falls once over the budget, whatever the stages: at its height D_u is unlearned, and
    while it falls D_r comes back. It stays at its height until half of the last stage is done.
    """

    defaults: ClassVar[ShadowTeacherParameters] = ShadowTeacherParameters(passes=1, learning_rate=0)
    search: ClassVar[dict[str, tuple[float, ...]]] = {"peak": (0.3, 0.6, 1.0), "oversampling": (4.0, 8.0)}
    parameters: ShadowTeacherParameters
    needs_teachers: ClassVar[bool] = True
    cools_down: ClassVar[bool] = True
    stages_revision: ClassVar[int] = 2

    def __init__(self, context: Context, parameters: ShadowTeacherParameters) -> None:
        super().__init__(context, parameters)
        if context.teachers is None:
            raise UsageError(f"shadow-teacher is not applicable: {context.no_teachers}")
        self.teachers = context.teachers()
        self.retain_steps += self.teachers.trained_samples
        self._answers = self.teachers.answers
        recipe = self._recipe
        self._optimizer = make_optimizer(context.model, recipe)
        self._rates = [group["lr"] / recipe.learning_rate for group in self._optimizer.param_groups]
        self._retain = RetainStream(context.retain, context.generator, context.samples.labels.device)
        forget, retain = len(context.forget), len(context.retain)
        #: Of a batch that is forget samples.
        self.cycles = parameters.cycles
        # No batch is smaller than half of one: in it, all of few are no larger share than this.
        all_of_them = 2 * forget / recipe.batch_size
        self._share = min(parameters.most, parameters.oversampling * forget / (forget + retain), all_of_them)
        gradients = parameters.effort * recipe.epochs * retain
        self.cycle_budget = max(1, round(self._share * parameters.cycle_effort * recipe.epochs * retain))
        self._passes = self._share * gradients / forget
        self._budget = max(1, round(self._passes * forget))
        self._steps = max(1, round(gradients / recipe.batch_size))
        self._average = AverageWeights(context.model, self._steps) if recipe.averaging else None
        self._taught, self._step, self._handed = 0, 0, forget
        #: At which share of the budget the rate begins to fall.
        self._falls = WARMUP

    @property
    def _recipe(self) -> Recipe:
        return self.context.recipe or UNKNOWN

    @property
    def passes(self) -> float:
        """As many as come with their share of batches, when these hold ``effort`` of a retraining's gradients."""
        return self._passes

    @property
    def forget_batch_size(self) -> int:
        """Their share of a mixed batch, or a little less, so that a pass has no small batch at its end."""
        forget = self._handed
        parts = math.ceil(forget / max(1.0, self._recipe.batch_size * self._share) - 1e-9)
        return math.ceil(forget / parts)

    def step(self, batch: torch.Tensor) -> None:
        """Train on these, and on as many retain samples as belong to them: several batches for a single request."""
        size = self._recipe.batch_size
        # What is left of a stage's pass alone makes small batches, whose steps would be noise: half of one at least.
        wanted = round(len(batch) * (1 - self._share) / self._share)
        retain = self._retain.take(max(wanted, size // 2 - len(batch)))
        parts = batches(torch.cat([batch, retain]), size)
        network = self._network()
        if network is not None:
            network.begin_epoch(self._recipe.epochs)
        self.context.model.train()
        for number, part in enumerate(parts):
            self._set_rate((self._taught + len(batch) * (number + 0.5) / len(parts)) / self._budget)
            taught = batch if number == 0 else batch[:0]
            self.descend(self._loss(part, taught), self._optimizer)
            self._step += 1
            if self._average is not None:
                self._average.after_step(min(self._step, self._steps - 1))
        self._taught += len(batch)
        self.retain_steps += len(retain)

    def foresee(self, planned: int, before_last: int) -> None:
        """Keep the rate at its height until half of the last stage is done: who comes last is unlearned there too."""
        if self._taught == 0 and planned != self._budget and self._average is not None:
            self._steps = max(1, round(self._steps * planned / self._budget))
            self._average = AverageWeights(self.context.model, self._steps)
        self._budget = max(1, planned)
        if before_last:
            self._falls = max(WARMUP, (1 + before_last / self._budget) / 2)

    def begin_cycle(self, rows: npt.NDArray[np.int64], budget: int) -> None:
        """Let the rate rise and fall within this budget, among as many retain samples as a cycle takes."""
        gradients = self.parameters.cycle_effort * self._recipe.epochs * len(self.context.retain)
        self._share = min(self.parameters.most, budget / gradients)
        self._handed = len(rows)
        self._budget, self._taught, self._step = budget, 0, 0
        self._steps = max(1, round(gradients / self._recipe.batch_size))
        if self._average is not None:
            self._average = AverageWeights(self.context.model, self._steps)

    def end_cycle(self) -> None:
        """Average the weights where the recipe does."""
        if self._average is not None:
            self._average.after_step(self._steps)

    def finish(self) -> None:
        """Let what the recipe does once at a training's end be done."""
        if self._average is not None:
            self._average.after_step(self._steps)
        if (network := self._network()) is not None:
            network.begin_epoch(-1)

    def _loss(self, rows: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of rows, the first of which are taught."""
        samples = self.context.samples
        # `one_hot` looks at the labels, for which a card would have to wait.
        targets = self._answers.new_zeros(len(rows), self.context.classes)
        targets.scatter_(1, samples.labels[rows][:, None], 1.0)
        if len(taught):
            targets[: len(taught)] = self._answers[self.teachers.position(taught)]
        with self.context.hardware.autocast():
            logits = self.context.model(as_network_input(self._augmented(rows)))
        return functional.cross_entropy(logits.float(), targets)

    def _augmented(self, rows: torch.Tensor) -> torch.Tensor:
        inputs = self.context.samples.take(rows)
        if self._recipe.augment == "none":
            return inputs
        # Anew for every batch: which image is mirrored in which pass means little among so few passes.
        augmentation = Augmenter(self._recipe.augment, inputs.shape[1:], len(rows), self.context.generator)
        augmentation.begin_epoch(0, torch.arange(len(rows)), [len(rows)], inputs.device)
        return augmentation(inputs)

    def _set_rate(self, progress: float) -> None:
        rate = self.parameters.peak * self._recipe.learning_rate * cycle(progress, self._falls)
        for group, times in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * times

    def _network(self) -> AdaptsToInputs | None:
        network = getattr(self.context.model, "network", self.context.model)
        return network if isinstance(network, AdaptsToInputs) else None

    def details(self) -> dict[str, JsonValue]:
        return {
            "teachers": float(self.teachers.count.mean()),
            "teacher_training_samples": self.teachers.trained_samples,
            "trained_as": self._recipe.name if self.context.recipe else f"{UNKNOWN.name} (its own training is unknown)",
        }


def cycle(progress: float, falls: float = WARMUP) -> float:
    """The learning rate as a share of its peak: linear up, from ``falls`` on half a cosine down to 0."""
    if progress < falls:
        return min(1.0, progress / WARMUP)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - falls) / (1 - falls))))
