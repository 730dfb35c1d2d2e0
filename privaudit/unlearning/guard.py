"""No step may wreck the model: watch what is to be kept while a method forgets, and take back what costs too much.

Every few steps the model is asked for a slice of D_r and for validation samples. Where it answers in no numbers, or its
accuracy on either fell too far below where it began, it goes back to its last good state, and the method's learning
rate is halved; after a few of those the run stops there. Watching draws no random numbers and changes no mode: a run in
which the guard never acts ends in the same weights as without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from privaudit.results.unlearning.ledger import GuardRecord, Undone
from privaudit.runtime.seeds import generator
from privaudit.training.loop import Samples, logits_of
from privaudit.unlearning.base import StopUnlearning, Unlearner
from privaudit.unlearning.retain_sampler import RetainStream

Rows = npt.NDArray[np.int64]

#: What a guard counts, besides its record.
_NUMBERS = ("credit", "next", "next_free", "beside", "good_at")

#: Samples of each slice; and at the end, where a run that is well but for chance would be thrown away.
SLICE, LAST = 256, 1024

#: What the retained may lose, as a share of the accuracy that they began with: with a method that does not train on
#: D_r, which wins nothing back; meanwhile with one that does; and with one whose rate is high in between and falls to
#: nothing: a network with BatchNorm that is gone on with loses a quarter at the height, and wins it back.
COST, COST_MEANWHILE, COST_AT_THE_HEIGHT = 0.05, 0.25, 0.5

#: What they may have lost at the end, in accuracy: so much, or this share of what is above guessing if that is less.
#: It is what an outcome calls ruin (`privaudit.evaluation.measures.outcome`).
LOST, LOST_OF_WHAT_IS_KNOWN = 0.05, 0.25

#: So often the rate is halved before the run stops.
HALVINGS = 4

#: Looks over a run: a few whatever they cost, which is next to nothing where the run is short, and more up to as many,
#: which together take at most this share of the run's work.
FREE_LOOKS, LOOKS, SHARE = 12, 60, 0.05

#: A step forward and back costs about three times what an answer does.
STEP = 3

#: Standard errors of a fall, over samples, below which it may be chance.
CHANCE = 1.96


@dataclass(frozen=True)
class Slice:
    """Samples that are watched, what they are in words, and which of them were right at the start.

    ``few`` says which of them are asked meanwhile; all are at the end.
    """

    name: str
    samples: Samples
    rows: Rows
    right: npt.NDArray[np.bool_]
    few: npt.NDArray[np.bool_]

    def meanwhile(self) -> Slice:
        """Return those alone that are asked meanwhile."""
        return Slice(self.name, self.samples, self.rows[self.few], self.right[self.few], self.few[self.few])


class Guard:
    """Watches one method on one model.

    Parameters
    ----------
    unlearner
        Freshly made, on the original model.
    validation, validation_rows
        Samples that no model trains on, and which of them are of classes that are kept.
    planned
        Forget-sample gradients of the whole run, or 1 for a method that runs once and tells its share.
    seed
        Of the retained slice.
    """

    def __init__(
        self, unlearner: Unlearner, validation: Samples, validation_rows: Rows, planned: float, seed: int
    ) -> None:
        context = unlearner.context
        self._unlearner, self._planned = unlearner, planned
        chosen = generator(seed, "guard").permutation(context.retain)
        slices = [
            self._slice("retained", context.samples, chosen),
            self._slice("validation", validation, validation_rows),
        ]
        self._last = [one for one in slices if len(one.rows)]
        self._slices = [one.meanwhile() for one in self._last]
        self._classes = context.classes
        self._answers = sum(len(one.rows) for one in self._slices)
        teaches = any(isinstance(value, RetainStream) for value in vars(unlearner).values())
        runs_once = not unlearner.takes_forget_steps
        self._allowed = COST_MEANWHILE if teaches or runs_once else COST
        if unlearner.cools_down:
            self._allowed = COST_AT_THE_HEIGHT
        self.record = GuardRecord(
            watched={one.name: len(one.rows) for one in self._slices}, held_out=not (teaches or runs_once)
        )
        self._credit = self._next = self._next_free = 0.0
        self._beside = unlearner.retain_steps + unlearner.forget_steps_beside
        self._good, self._good_at = self._state(), 0.0

    def _slice(self, name: str, samples: Samples, order: Rows) -> Slice:
        rows = np.sort(order[:LAST])
        return Slice(name, samples, rows, self._right(samples, rows)[0], np.isin(rows, order[:SLICE]))

    def _right(self, samples: Samples, rows: Rows) -> tuple[npt.NDArray[np.bool_], bool]:
        """Which samples the model answers rightly now, and whether in numbers."""
        if not len(rows):
            return np.zeros(0, np.bool_), True
        model = self._unlearner.context.model
        modes = [(module, module.training) for module in model.modules()]
        logits = logits_of(model, samples, rows)
        # One by one: a method may train with some layers frozen.
        for module, mode in modes:
            module.training = mode
        labels = samples.labels[torch.from_numpy(rows).to(samples.labels.device)].cpu().numpy()
        answers = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).astype(np.int64)
        finite = bool(np.isfinite(logits).all())
        return (answers == labels) & finite, finite

    def after_step(self, spent: float, batch: int) -> None:
        """Look, if it is time to: after a step on ``batch`` forget samples, ``spent`` of the plan being done.

        Raises
        ------
        StopUnlearning
            Where going on is not safe; the model is in its last good state.
        """
        beside = self._unlearner.retain_steps + self._unlearner.forget_steps_beside
        self._credit += SHARE * STEP * (batch + max(0, beside - self._beside))
        self._beside = beside
        if spent >= self._next_free:
            self._next_free = spent + self._planned / FREE_LOOKS
        elif spent >= self._next and self._credit >= self._answers:
            self._credit -= self._answers
        else:
            return
        self._next = spent + self._planned / LOOKS
        self._look(spent)

    def at_end(self, spent: float) -> None:
        """Look for the last time: what the retained lost must have come back, or the last good state does."""
        why = self._what_is_wrong(self._ask(self._last), self._last)
        if why is not None:
            self._take_back(spent, why, halve=False)
            self.record.stopped = f"{why}, and did not come back"

    def _look(self, spent: float) -> None:
        asked = self._ask(self._slices)
        why = self._what_is_wrong(asked, self._slices, self._allowed)
        if why is None:
            if self._what_is_wrong(asked, self._slices) is None:
                self._good, self._good_at = self._state(), spent
            return
        if self.record.halvings < HALVINGS and halve_rate(self._unlearner):
            self._take_back(spent, why, halve=True)
            return
        self._take_back(spent, why, halve=False)
        tried = f"after {HALVINGS} halvings of the learning rate" if self.record.halvings else "with no rate to halve"
        self.record.stopped = f"{why}, {tried}"
        raise StopUnlearning(f"the guard stopped it at its last good state: {self.record.stopped}")

    def _ask(self, slices: list[Slice]) -> list[tuple[npt.NDArray[np.bool_], bool]]:
        """Of every slice: what the model answers rightly now, and whether in numbers."""
        self.record.looks += 1
        asked = [self._right(one.samples, one.rows) for one in slices]
        for one, (right, _) in zip(slices, asked, strict=True):
            share = float(right.mean()) / max(float(one.right.mean()), 1 / len(right))
            self.record.lowest[one.name] = round(min(share, self.record.lowest.get(one.name, share)), 4)
        return asked

    def _what_is_wrong(
        self, asked: list[tuple[npt.NDArray[np.bool_], bool]], slices: list[Slice], share: float | None = None
    ) -> str | None:
        """What the model lost beyond a share of it, or beyond what it may lose in all, and beyond chance, if it did."""
        wrong = None
        for one, (right, finite) in zip(slices, asked, strict=True):
            if not finite:
                return "the model answered in no numbers"
            before, now = float(one.right.mean()), float(right.mean())
            error = float(np.std(one.right.astype(np.float64) - right)) / math.sqrt(len(right))
            known = max(before - 1 / self._classes, 0.0)
            allowed = min(LOST, LOST_OF_WHAT_IS_KNOWN * known) if share is None else share * before
            if before - now > max(allowed, CHANCE * error):
                wrong = f"accuracy on {one.name} samples fell from {before:.3f} to {now:.3f}"
        return wrong

    def _take_back(self, spent: float, why: str, *, halve: bool) -> None:
        model = self._unlearner.context.model
        model.load_state_dict(self._good)
        forget_optimizer_state(self._unlearner)
        lost = round(spent - self._good_at) if self._unlearner.takes_forget_steps else 0
        self.record.undone.append(Undone(at=round(spent, 4), why=why, forget_steps=lost, halved=halve))
        self.record.forget_steps_undone += lost
        self.record.halvings += halve
        # The state that it is in now is good, and what is undone next begins here.
        self._good_at = spent

    def _state(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self._unlearner.context.model.state_dict().items()}

    # What a journal keeps of it.

    def capture(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """What it has to know to go on after an interruption."""
        tensors = {f"guard/{name}": tensor.cpu().contiguous() for name, tensor in self._good.items()}
        numbers = {name: getattr(self, f"_{name}") for name in _NUMBERS}
        return tensors, {"record": self.record.to_json(), **numbers}

    def restore(self, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
        """Go on where `capture` was."""
        self._good = {name: tensors[f"guard/{name}"].to(old.device) for name, old in self._good.items()}
        self.record = GuardRecord.model_validate(values["record"])
        for name in _NUMBERS:
            setattr(self, f"_{name}", values[name])
        for _ in range(self.record.halvings):
            halve_parameter(self._unlearner)


def halve_rate(unlearner: Unlearner) -> bool:
    """Halve every learning rate that a method has: its optimisers', and the parameter; whether there was one."""
    found = halve_parameter(unlearner)
    for optimizer in optimizers_of(unlearner):
        for group in optimizer.param_groups:
            found = found or group["lr"] > 0
            group["lr"] = group["lr"] / 2
    return found


def halve_parameter(unlearner: Unlearner) -> bool:
    """Halve the parameter that is the method's rate, for methods that read it at every step."""
    parameters = unlearner.parameters
    name, rate = parameters.rate, float(getattr(parameters, parameters.rate))
    if name in parameters.unused or rate <= 0:
        return False
    halved: Any = {name: rate / 2}
    unlearner.parameters = replace(parameters, **halved)
    return True


def optimizers_of(unlearner: Unlearner) -> list[torch.optim.Optimizer]:
    """Every torch optimiser that a method keeps as an attribute."""
    return [value for value in vars(unlearner).values() if isinstance(value, torch.optim.Optimizer)]


def forget_optimizer_state(unlearner: Unlearner) -> None:
    """Empty the state of every torch optimiser that the method keeps as an attribute."""
    for optimizer in optimizers_of(unlearner):
        optimizer.state.clear()
