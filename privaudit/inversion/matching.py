"""Gradient matching (T2): images whose gradient looks like the one that was seen, many at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

from privaudit.inversion.gradient_engines.layerwise import Layerwise
from privaudit.inversion.gradient_engines.sample_gradients import LEAST_NORM, GradientEngine, Gradients, norms
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.optimisers import Plateau, Schedule, make_optimiser
from privaudit.inversion.presets import MatchingAttack, RefiningAttack

#: Nothing is gained below this objective.
SOLVED = 1e-9


@dataclass(frozen=True)
class Canvas:
    """The units that images are sought in: unit image = offset + deviation · variable (``[1, C, 1, 1]`` each)."""

    pixels: PixelScale
    offset: torch.Tensor
    deviation: torch.Tensor

    @classmethod
    def of(cls, model: nn.Module, pixels: PixelScale, *, standardised: bool) -> Canvas:
        """Pixels on the 0–1 scale, or the network's own units (its first layer standardises)."""
        first = model.get_submodule("standardise")
        mean, deviation = first.get_buffer("mean"), first.get_buffer("deviation")
        if not standardised:
            return cls(pixels, torch.zeros_like(mean), torch.ones_like(deviation))
        span = pixels.high - pixels.low
        return cls(pixels, (mean - pixels.low) / span, deviation / span)

    def unit(self, variables: torch.Tensor) -> torch.Tensor:
        """Images on the 0–1 scale."""
        return self.offset + self.deviation * variables

    def inside(self, variables: torch.Tensor) -> torch.Tensor:
        """The nearest variables whose images lie in the range."""
        return torch.clamp(variables, (0 - self.offset) / self.deviation, (1 - self.offset) / self.deviation)


@dataclass(frozen=True)
class Matched:
    """What was found for each gradient.

    Parameters
    ----------
    images
        ``[n, C, H, W]`` on the 0–1 scale, clamped to it: those of the lowest objective.
    objective
        ``[n]``: the attack's own measure of success.
    steps
        ``[n]``: evaluations until convergence, or all of them.
    """

    images: torch.Tensor
    objective: torch.Tensor
    steps: torch.Tensor


def total_variation(images: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of vertical plus that of horizontal neighbours, ``[B]``."""
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().mean((1, 2, 3))
    across = (images[..., 1:] - images[..., :-1]).abs().mean((1, 2, 3))
    return down + across


def matching_cost(found: Gradients, seen: Gradients, kind: str) -> tuple[torch.Tensor, Gradients]:
    """How far gradients are from those seen: 1 − cosine, or the squared distance; and its derivative by each of them.

    The derivative is written down rather than left to autograd, which would pass over all parameters several times
    more: d(1 − cos)/da = −b/(‖a‖‖b‖) + (a·b) a/(‖a‖³‖b‖).

    Returns
    -------
    tuple
        ``[B]``, and tensors shaped as ``found``.
    """
    with torch.no_grad():
        if kind == "l2":
            apart = tuple(a - b for a, b in zip(found, seen, strict=True))
            return norms(apart).square(), tuple(2 * part for part in apart)
        product = torch.stack([(a * b).sum(1) for a, b in zip(found, seen, strict=True)]).sum(0)
        size, other = norms(found).clamp_min(LEAST_NORM), norms(seen).clamp_min(LEAST_NORM)
        cosine = product / size / other
        of_seen, of_found = (-1 / size / other).unsqueeze(1), (cosine / size / size).unsqueeze(1)
        slopes = tuple((b * of_seen).addcmul_(a, of_found) for a, b in zip(found, seen, strict=True))
        return 1 - cosine, slopes


class _Matcher(Protocol):
    """The cost of inputs whose gradients are to match those seen."""

    def __call__(
        self, part: slice, inputs: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """``[B]``, and what depends on the inputs with the derivative of the cost by it."""

    def keep(self, rows: torch.Tensor) -> None:
        """Forget all gradients but these."""


class _ByAutograd:
    """What depends on the inputs are their gradients."""

    def __init__(self, engine: GradientEngine, seen: Gradients, cost: str) -> None:
        self._engine, self._seen, self._cost = engine, seen, cost

    def __call__(
        self, part: slice, inputs: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        found = self._engine(inputs, labels)
        value, slopes = matching_cost(found, tuple(seen[part] for seen in self._seen), self._cost)
        return value, list(found), list(slopes)

    def keep(self, rows: torch.Tensor) -> None:
        self._seen = tuple(seen[rows] for seen in self._seen)


class _ByLayers:
    """What depends on the inputs are they themselves: the engine knows the cosine's derivative by them."""

    def __init__(self, engine: Layerwise, seen: Gradients) -> None:
        self._engine, self._seen, self._size = engine, engine.prepared(seen), norms(seen)

    def __call__(
        self, part: slice, inputs: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        seen = [tuple(tensor[part] for tensor in layer) for layer in self._seen]
        value, slope = self._engine.match(inputs, labels, seen, self._size[part])
        return value, [inputs], [slope]

    def keep(self, rows: torch.Tensor) -> None:
        self._seen = [tuple(tensor[rows] for tensor in layer) for layer in self._seen]
        self._size = self._size[rows]


class Objective:
    """Value and gradient of an attack's objective for rows of variables ``[B, D]`` (pixels, then label logits)."""

    def __init__(
        self, engine: GradientEngine, seen: Gradients, labels: torch.Tensor, shape: torch.Size, attack: MatchingAttack,
        canvas: Canvas,
    ) -> None:  # fmt: skip
        self._matcher: _Matcher = _ByAutograd(engine, seen, attack.cost)
        if isinstance(engine, Layerwise) and attack.by_layers:
            self._matcher = _ByLayers(engine, seen)
        self._most, self._attack, self._canvas = engine.most, attack, canvas
        self._labels, self._shape = labels, shape
        self.pixels = shape.numel()

    def __call__(self, variables: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, slopes = [], []
        for start in range(0, len(variables), self._most):
            part = slice(start, start + self._most)
            leaf = variables[part].detach().requires_grad_()
            image = self.images(leaf)
            labels = functional.softmax(leaf[:, self.pixels :], 1) if self._attack.joint_label else self._labels[part]
            inputs = self._canvas.pixels.to_input(self._canvas.unit(image))
            value, outputs, weights = self._matcher(part, inputs, labels)
            if self._attack.total_variation > 0:
                variation = self._attack.total_variation * total_variation(image)
                value = value + variation.detach()
                outputs.append(variation)
                weights.append(torch.ones_like(variation))
            (slope,) = torch.autograd.grad(outputs, leaf, weights)
            values.append(value.detach())
            slopes.append(slope)
        return torch.cat(values), torch.cat(slopes)

    def images(self, variables: torch.Tensor) -> torch.Tensor:
        """The image part, ``[B, C, H, W]``."""
        return variables[:, : self.pixels].reshape(-1, *self._shape)

    def keep(self, rows: torch.Tensor) -> None:
        """Forget all searches but these."""
        self._matcher.keep(rows)
        self._labels = self._labels[rows]


def match_gradients(
    engine: GradientEngine,
    seen: Gradients,
    labels: torch.Tensor,
    starts: torch.Tensor,
    attack: MatchingAttack,
    canvas: Canvas,
    on_step: Callable[[int], None] | None = None,
) -> Matched:
    """Search for the images behind gradients; each search is independent of the others in the batch.

    Parameters
    ----------
    engine
        Of the attacked model.
    seen
        What the attacker saw, ``[n, P]`` each.
    labels
        ``[n, K]`` distributions; not looked at where the attack searches for labels too.
    starts
        ``[n, C, H, W]`` in the canvas's units.
    attack, canvas
        What to minimise, and in which units.
    on_step
        Called after each step with the number of searches that took part in it.
    """
    classes = labels.shape[1] if attack.joint_label else 0
    shape = torch.Size(starts.shape[1:])
    variables = starts.flatten(1)
    if classes:
        # Label logits start at zero: every class is as likely.
        variables = torch.cat([variables, torch.zeros(len(starts), classes, device=starts.device)], 1)
    objective = Objective(engine, seen, labels, shape, attack, canvas)
    optimiser = make_optimiser(attack.optimiser, variables)
    schedule = Schedule(len(variables), attack.rate, attack.steps, variables.device)
    patience = attack.patience if isinstance(attack, RefiningAttack) else attack.steps
    plateau = Plateau(len(variables), patience, variables.device)
    best, lowest = variables.clone(), variables.new_full((len(variables),), float("inf"))
    taken = torch.full((len(variables),), attack.steps, device=variables.device)
    alive = torch.arange(len(variables), device=variables.device)
    for step in range(attack.steps):
        value, slope = objective(variables)
        if on_step is not None:
            on_step(len(alive))
        better = value < lowest[alive]
        # By torch.where: to pick rows by a mask, the processor would have to wait until the card knows how many.
        best[alive] = torch.where(better.unsqueeze(1), variables, best[alive])
        lowest[alive] = torch.where(better, value, lowest[alive])
        rates = schedule.rates(step, value)
        if attack.optimiser == "lbfgs":
            rates = torch.full_like(rates, attack.rate)
        variables = optimiser.step(variables, slope, value, rates)
        if attack.box:
            inside = canvas.inside(objective.images(variables)).flatten(1)
            variables = torch.cat([inside, variables[:, objective.pixels :]], 1)
        done = optimiser.finished | (value <= SOLVED) | ~torch.isfinite(value)
        if attack.optimiser != "lbfgs":
            done |= schedule.converged
        if isinstance(attack, RefiningAttack):
            done |= plateau.reached(value)
        if done.any():
            taken[alive[done]] = step + 1
            rows = torch.nonzero(~done).squeeze(1)
            alive, variables = alive[rows], variables[rows]
            for part in (objective, optimiser, schedule, plateau):
                part.keep(rows)
        if not len(alive):
            break
    images = canvas.unit(objective.images(best)).clamp(0, 1)
    return Matched(images, lowest, taken)
