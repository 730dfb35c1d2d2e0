"""What an unlearning method is: something that takes batches of forget samples and steps a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.registry import Registry
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples

#: Methods that step over forget samples. ``retrain`` is not among them: it never sees one.
UNLEARNERS = Registry(
    "unlearner",
    {
        "ga": "privaudit.unlearning.gradient_ascent:GradientAscent",
        "rl": "privaudit.unlearning.random_labels:RandomLabels",
    },
)
RETRAIN = "retrain"


def check_method(name: str) -> None:
    """Raise `UsageError` unless ``--method`` takes this name, saying what was meant."""
    UNLEARNERS.check(name, besides=(RETRAIN,))


class StopUnlearning(Exception):
    """Raised by a step that must not be taken; the model stays as it was before."""


@dataclass(frozen=True)
class Parameters:
    """What a user may tune of a method."""

    passes: float
    learning_rate: float
    batch_size: int = 128


@dataclass(frozen=True)
class Context:
    """What a method works on.

    Parameters
    ----------
    model
        The original model, changed in place.
    samples
        The whole pool, on the device.
    forget, retain
        int64 rows of the pool: D_u and D_r.
    classes
        Number of classes C.
    unseen_loss
        The original model's mean cross-entropy on validation samples: what never-seen samples cost it.
    generator
        Where a method's own randomness comes from.
    """

    model: nn.Module
    samples: Samples
    forget: npt.NDArray[np.int64]
    retain: npt.NDArray[np.int64]
    classes: int
    unseen_loss: float
    hardware: Hardware
    generator: torch.Generator


class Unlearner:
    """A method that steps over forget samples.

    Subclasses set `defaults` and implement `step`. The sequence decides which samples come when and counts them, so
    that runs in different orders spend the same budget.
    """

    defaults: ClassVar[Parameters]

    def __init__(self, context: Context, parameters: Parameters) -> None:
        self.context = context
        self.parameters = parameters
        self.retain_steps = 0

    @property
    def forget_batch_size(self) -> int:
        """How many forget samples one step takes."""
        return self.parameters.batch_size

    def step(self, batch: torch.Tensor) -> None:
        """Take one step with the forget samples at these rows of the pool.

        Raises
        ------
        StopUnlearning
            Instead of a step that would ruin the model, with the reason.
        """
        raise NotImplementedError
