"""What an unlearning method is: something that takes batches of forget samples and steps a model, or runs once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import JsonValue
from torch import nn

from privaudit.errors import UsageError
from privaudit.runtime.registry import Registry
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, as_network_input, logits_of
from privaudit.training.recipe import Recipe
from privaudit.unlearning.parameters import Parameters

if TYPE_CHECKING:
    from privaudit.unlearning.teachers import Teachers

__all__ = ["RETRAIN", "UNLEARNERS", "Context", "Methods", "Parameters", "StopUnlearning", "Unlearner", "check_method"]


class Methods(Registry):
    """Methods by name; one that another package brings is looked at before it is used."""

    def load(self, name: str) -> type[Unlearner]:
        """Import and return a method's class.

        Raises
        ------
        UsageError
            Where the name is unknown, can't be imported, or stands for something else than a method.
        """
        try:
            found = super().load(name)
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"method '{name}' can't be loaded: {error}", hint="Mend or remove the package that brings it."
            ) from error
        is_method = isinstance(found, type) and issubclass(found, Unlearner)
        if not (is_method and isinstance(getattr(found, "defaults", None), Parameters)):
            raise UsageError(
                f"method '{name}' is {found!r}: it must be a subclass of Unlearner with defaults",
                hint="privaudit.testing.check_unlearner says what a method lacks.",
            )
        method: type[Unlearner] = found
        return method


#: Every method but ``retrain``, which is a training and changes no model.
UNLEARNERS = Methods(
    "unlearner",
    {
        "bad-teacher": "privaudit.unlearning.methods.bad_teacher:BadTeacher",
        "ft": "privaudit.unlearning.methods.fine_tuning:FineTuning",
        "ga": "privaudit.unlearning.methods.gradient_ascent:GradientAscent",
        "l1-sparse": "privaudit.unlearning.methods.l1_sparse:L1Sparse",
        "neggrad-plus": "privaudit.unlearning.methods.neggrad_plus:NegGradPlus",
        "rl": "privaudit.unlearning.methods.random_labels:RandomLabels",
        "salun": "privaudit.unlearning.methods.salun:SaliencyUnlearning",
        "scrub": "privaudit.unlearning.methods.scrub:Scrub",
        "shadow-teacher": "privaudit.unlearning.methods.shadow_teacher:ShadowTeacher",
        "ssd": "privaudit.unlearning.methods.ssd:SelectiveDampening",
    },
)
RETRAIN = "retrain"


def check_method(name: str) -> None:
    """Raise `UsageError` unless ``--method`` takes this name, saying what was meant."""
    UNLEARNERS.check(name, besides=(RETRAIN,))


def takes_order(method: str) -> bool:
    """Tell whether the order of the forget set can matter to a method."""
    return method != RETRAIN and bool(UNLEARNERS.load(method).takes_forget_steps)


class StopUnlearning(Exception):
    """Raised by a step that must not be taken; the model stays as it was before."""


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
        Asks the original model for its mean cross-entropy on validation samples: what never-seen samples cost it.
    generator
        Where a method's own randomness comes from.
    build
        A freshly initialised network like the original, on the device; equal purposes give equal weights.
    teachers
        Makes what the shadow models that never saw a forget sample say of it; None where nothing can.
    no_teachers
        Why there are none.
    recipe
        By which the original model was trained; None where a function of the user's trained it, or nobody knows.
    """

    model: nn.Module
    samples: Samples
    forget: npt.NDArray[np.int64]
    retain: npt.NDArray[np.int64]
    classes: int
    unseen_loss: Callable[[], float]
    hardware: Hardware
    generator: torch.Generator
    build: Callable[..., nn.Module]
    teachers: Callable[[], Teachers] | None = None
    no_teachers: str = "there are no shadow models"
    recipe: Recipe | None = None


class Unlearner:
    """A method: it takes forget samples step by step, or runs once.

    Subclasses set `defaults` and implement `step` (``takes_forget_steps = True``, the default: the sequence decides
    which samples come when and counts them, so that runs in different orders spend the same budget) or `run`
    (``takes_forget_steps = False``: orders and groups mean nothing to it).
    """

    defaults: ClassVar[Parameters]

    #: Whether the method is handed forget samples batch by batch, so that their order can matter.
    takes_forget_steps: ClassVar[bool] = True

    #: Whether it asks `Context.teachers`, and can do nothing without.
    needs_teachers: ClassVar[bool] = False

    #: Whether its learning rate rises and falls to nothing over the run: what the model loses at its height comes back.
    cools_down: ClassVar[bool] = False

    #: Raised where what it does in stages changes, so that a run of before is not taken for one of now.
    stages_revision: ClassVar[int] = 1

    #: What ``--tune`` tries: parameter → values; the product of them all is the number of trials.
    search: ClassVar[dict[str, tuple[float, ...]]] = {}

    def __init__(self, context: Context, parameters: Parameters) -> None:
        self.context = context
        self.parameters = parameters
        #: Retain samples whose gradient was taken, counted with every repetition.
        self.retain_steps = 0
        #: The same of forget samples where the method runs once, or takes some before its first step.
        self.forget_steps_beside = 0

    # What a method that is handed forget samples implements.

    @property
    def passes(self) -> float:
        """How often D_u is handed to it in all: what stages share out."""
        return self.parameters.passes

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

    def foresee(self, planned: int, before_last: int) -> None:
        """Be told how many forget-sample gradients are planned, and how many of them before the last stage.

        Once before the first step, and again where the last stage begins: stages that choose for themselves may have
        spent less. None are before the last where all are handed over at once.
        """

    #: At most so many cycles, each of which ends in a usable model, until D_u looks never-seen; 0: it has none.
    cycles: int = 0

    #: Forget-sample gradients of one that hands over all of D_u.
    cycle_budget: int = 0

    def begin_cycle(self, rows: npt.NDArray[np.int64], budget: int) -> None:
        """Be told that so many forget-sample gradients on these rows follow, and end in a usable model."""

    def end_cycle(self) -> None:
        """Be told that a cycle's last step was taken."""

    def finish(self) -> None:
        """Do what the method does once its last forget sample was handed to it: nothing, for most."""

    # What a method that runs once implements.

    def run(self, report: Callable[[float], None]) -> None:
        """Change the model; tell ``report`` which share of the work is done, 0 … 1. It may raise `StopUnlearning`."""
        raise NotImplementedError

    # What every method may use.

    def details(self) -> dict[str, JsonValue]:
        """What the results should say of this run besides its budget: JSON values by name."""
        return {}

    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        """The model's logits ``[B, C]`` at these rows of the pool, in the mode that it is in, with gradient."""
        with self.context.hardware.autocast():
            logits: torch.Tensor = self.context.model(as_network_input(self.context.samples.take(rows)))
        return logits.float()

    def original_logits(self, rows: npt.NDArray[np.int64]) -> torch.Tensor:
        """Logits ``[n, C]`` in eval mode and fp32, without gradient: called before any step, the original model's."""
        logits = logits_of(self.context.model, self.context.samples, rows)
        return torch.from_numpy(logits).to(self.context.samples.labels.device)

    def descend(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        """One step down this loss, unless it is no number any more."""
        self.descend_in_parts([loss], optimizer)

    def descend_in_parts(self, losses: Iterable[torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
        """One step down the sum of losses, each of which may be made when its turn comes: less is held at a time."""
        optimizer.zero_grad(set_to_none=True)
        for loss in losses:
            value = loss.item()  # The one wait for the card: a step that would ruin the model must not be taken.
            if not math.isfinite(value):
                raise StopUnlearning(f"the loss became {value}")
            loss.backward()
        optimizer.step()
