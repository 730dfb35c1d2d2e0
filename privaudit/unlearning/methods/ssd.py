"""Selective synaptic dampening (Foster et al. 2024): weaken the weights that matter more to D_u than to all of D."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import JsonValue
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from privaudit.training.loop import as_network_input
from privaudit.unlearning.base import Context, StopUnlearning, Unlearner
from privaudit.unlearning.parameters import Parameters, setting

#: Per-sample gradients held at once, in numbers: on a CPU fixed, so that the sums do not depend on the machine.
MOST_NUMBERS = 1 << 25

#: Bytes of a card's free memory that go to each of these numbers: the number, its square, and the activations that
#: vmap keeps for them. In networks of few weights these are the larger part, so there are never more samples than that.
BYTES_A_NUMBER = 64
MOST_ON_CARD = 512


def chunk_of(weights: int, device: torch.device) -> int:
    """How many samples' gradients of so many weights are held at once: on a card as many as its memory allows."""
    if device.type != "cuda":
        return max(1, MOST_NUMBERS // weights)
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(MOST_ON_CARD, int(free) // (BYTES_A_NUMBER * weights)))


@dataclass(frozen=True)
class DampeningParameters(Parameters):
    """Nothing is trained, so the common ones mean nothing; the two of the paper's equations 5 and 6."""

    unused: ClassVar[tuple[str, ...]] = ("passes", "learning_rate", "batch_size")

    alpha: float = setting(10.0, "a weight is selected where I_u > α I_D")
    dampening: float = setting(1.0, "λ: a selected weight is multiplied by min(λ I_D / I_u, 1)")


class SelectiveDampening(Unlearner):
    """Where I_u > α I_D: θ ← min(λ I_D / I_u, 1) θ.

    I is the diagonal of the empirical Fisher information, the mean over samples of the squared gradient of *one*
    sample's CE (the square of a batch's mean gradient is something else), in eval mode; I_D is over D = D_u ∪ D_r.
    No step is taken: each sample's gradient is taken once.

    D_u is a part of D, so I_u / I_D can't exceed |D| / |D_u|: with a tenth of D to be forgotten, α = 10 selects
    nothing, whatever the model. A run that selects nothing says so.
    """

    defaults: ClassVar[DampeningParameters] = DampeningParameters(passes=1, learning_rate=0)
    takes_forget_steps: ClassVar[bool] = False
    parameters: DampeningParameters
    search: ClassVar[dict[str, tuple[float, ...]]] = {"alpha": (1.1, 1.3, 1.6, 2, 4, 8)}

    def __init__(self, context: Context, parameters: DampeningParameters) -> None:
        super().__init__(context, parameters)
        self._dampened = 0

    def run(self, report: Callable[[float], None]) -> None:
        context = self.context
        everyone = len(context.forget) + len(context.retain)
        done = 0

        def count(samples: int) -> None:
            nonlocal done
            done += samples
            report(done / everyone)

        of_forget = self._squares(context.forget, count)
        self.forget_steps_beside += len(context.forget)
        of_retain = self._squares(context.retain, count)
        self.retain_steps += len(context.retain)
        dampened = torch.zeros((), dtype=torch.int64, device=context.samples.device)
        with torch.no_grad():
            for name, weight in _learning(context.model).items():
                to_forget = of_forget[name] / len(context.forget)
                to_all = (of_forget[name] + of_retain[name]) / everyone
                factor = dampening(to_forget, to_all, self.parameters.alpha, self.parameters.dampening)
                dampened += (factor < 1).sum()
                weight.mul_(factor)
        self._dampened += int(dampened)
        if not self._dampened:
            raise StopUnlearning(
                f"no weight matters to the forget set more than α = {self.parameters.alpha:g} times as much as to all "
                f"samples, and at most {everyone / len(context.forget):.3g} times is possible: nothing was changed"
            )

    def _squares(self, rows: npt.NDArray[np.int64], count: Callable[[int], None]) -> dict[str, torch.Tensor]:
        """Σ over the samples of the squared gradient of each, for every weight."""
        context = self.context
        context.model.eval()
        weights = {name: weight.detach() for name, weight in _learning(context.model).items()}
        buffers = {**dict(context.model.named_parameters()), **dict(context.model.named_buffers())}
        buffers = {name: tensor.detach() for name, tensor in buffers.items() if name not in weights}

        def loss(weights: dict[str, torch.Tensor], inputs: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            logits = functional_call(context.model, (weights, buffers), (inputs[None],))
            return functional.cross_entropy(logits, label[None])

        gradients = vmap(grad(loss), in_dims=(None, 0, 0))
        total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        chunk = chunk_of(sum(weight.numel() for weight in weights.values()), context.samples.device)
        for part in torch.from_numpy(rows).to(context.samples.labels.device).split(chunk):
            inputs = as_network_input(context.samples.take(part))
            for name, gradient in gradients(weights, inputs, context.samples.labels[part]).items():
                total[name] += gradient.square().sum(0)
            count(len(part))
        return total

    def details(self) -> dict[str, JsonValue]:
        return {"weights_dampened": self._dampened}


def _learning(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that are trained, by name: what is frozen is not to move."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def dampening(to_forget: torch.Tensor, to_all: torch.Tensor, alpha: float, strength: float) -> torch.Tensor:
    """min(λ I_D / I_u, 1) where I_u > α I_D, else 1."""
    selected = to_forget > alpha * to_all
    factor = (strength * to_all / torch.where(selected, to_forget, 1)).clamp_max(1)
    return torch.where(selected, factor, 1)
