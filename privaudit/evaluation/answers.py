"""What a model says of the samples that it is judged by, and how much of it is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.evaluation.measures.utility import accuracy
from privaudit.results.unlearning.run import Accuracies
from privaudit.shadow.trainer import signals_on
from privaudit.signals import signal
from privaudit.training.loop import logits_of
from privaudit.unlearning.application.problem import UnlearningProblem

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """One model's answers.

    Parameters
    ----------
    pool, test
        Signals ``[N, 1, K]`` of the pool and of the reported test samples.
    forget_logits, test_logits
        ``[n, C]`` of D_u and of the reported test samples.
    finite
        False where the model itself answered in no numbers, and these stand in place of its answers.
    """

    pool: FloatArray
    test: FloatArray
    forget_logits: FloatArray
    test_logits: FloatArray
    finite: bool = True

    @classmethod
    def of(cls, problem: UnlearningProblem, model: nn.Module, *, finite: bool = True) -> Answers:
        """Ask a model about everything that it is judged by."""
        return cls(
            pool=signals_on(model, problem.pool),
            test=signals_on(model, problem.test, problem.reported),
            forget_logits=logits_of(model, problem.pool, problem.forget.rows),
            test_logits=logits_of(model, problem.test, problem.reported),
            finite=finite,
        )

    @property
    def are_numbers(self) -> bool:
        """Whether everything that was said is finite."""
        said = (self.pool, self.test, self.forget_logits, self.test_logits)
        return all(bool(np.isfinite(part).all()) for part in said)

    def accuracies(self, problem: UnlearningProblem) -> Accuracies:
        """Return accuracy on D_u, on D_r and on the reported test samples."""
        return _accuracies(problem, self.pool, self.test)


def validation_accuracies(problem: UnlearningProblem, model: nn.Module, answers: Answers | None = None) -> Accuracies:
    """Return the same with the validation half of the test set, which tuning may look at; ``answers`` spare a pass."""
    pool = signals_on(model, problem.pool) if answers is None else answers.pool
    return _accuracies(problem, pool, signals_on(model, problem.test, problem.validation))


def _accuracies(problem: UnlearningProblem, pool: FloatArray, test: FloatArray) -> Accuracies:
    margin = signal(pool[:, 0], "margin")
    return Accuracies(
        forget=accuracy(margin[problem.forget.rows]),
        retain=accuracy(margin[problem.retain]),
        test=accuracy(signal(test[:, 0], "margin")),
    )


class Mute(nn.Module):
    """Says nothing: stands for a model that answers in no numbers wherever it has to be measured."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self._classes = classes

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Every class alike."""
        return torch.zeros(len(inputs), self._classes, device=inputs.device)
