"""Images of a whole group whose update looks like the one that was seen.

    min over X  1 − cos(u(X), u) + α mean TV(x_i) + β R(X),   pixels in their range

as in gradient matching for one sample (Geiping et al. 2020), with all images of a group as variables. Where
coordinates were pruned away, u(X) is compared on those alone that were sent: the attacker sees which. Where the
attacker is told the batch's BatchNorm statistics, R is the squared distance of means and variances, relative to theirs,
averaged over layers (after Yin et al. 2021); else β = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from privaudit.inversion.gradient_engines.sample_gradients import Gradients
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.matching import matching_cost, total_variation
from privaudit.inversion.optimisers import Schedule, make_optimiser
from privaudit.inversion.presets import MatchingAttack
from privaudit.inversion.threat_models.client_updates import ClientUpdates

#: β: what a relative error of 1 in the BatchNorm statistics costs, where the cosine costs at most 2.
STATISTICS_WEIGHT = 0.1

#: A square of statistics below this counts as this.
LEAST_SQUARE = 1e-12


@dataclass(frozen=True)
class Shared:
    """What the attacker has: updates ``[G, P]`` a parameter, the labels to search with, and statistics if any."""

    update: Gradients
    statistics: Gradients
    labels: torch.Tensor
    is_pruned: bool


@dataclass(frozen=True)
class Rebuilding:
    """Images ``[G, n, C, H, W]`` on the 0–1 scale, and the objective ``[G]`` that they reached."""

    images: torch.Tensor
    objective: torch.Tensor


def match_updates(
    updates: ClientUpdates,
    shared: Shared,
    starts: torch.Tensor,
    attack: MatchingAttack,
    pixels: PixelScale,
    on_step: Callable[[], None] | None = None,
) -> Rebuilding:
    """Search for the images behind updates; each group is independent of the others.

    Parameters
    ----------
    updates
        Of the attacked model, under the threat model at hand.
    shared
        What was seen.
    starts
        ``[G, n, C, H, W]`` on the 0–1 scale.
    attack
        Of cosine cost, on the 0–1 scale.
    pixels
        The range of the network's inputs.
    on_step
        Called after each step.
    """
    shape, variables = starts.shape, starts.flatten(1)
    optimiser = make_optimiser(attack.optimiser, variables)
    schedule = Schedule(len(variables), attack.rate, attack.steps, variables.device)
    best, lowest = variables.clone(), torch.full((len(variables),), float("inf"), device=variables.device)
    for step in range(attack.steps):
        value, slope = objective(updates, shared, variables.reshape(shape), attack, pixels)
        better = value < lowest
        best = torch.where(better.unsqueeze(1), variables, best)
        lowest = torch.where(better, value, lowest)
        variables = optimiser.step(variables, slope.flatten(1), value, schedule.rates(step, value)).clamp(0, 1)
        if on_step is not None:
            on_step()
        if bool((schedule.converged | ~torch.isfinite(value)).all()):
            break
    return Rebuilding(best.reshape(shape), lowest)


def objective(
    updates: ClientUpdates, shared: Shared, images: torch.Tensor, attack: MatchingAttack, pixels: PixelScale
) -> tuple[torch.Tensor, torch.Tensor]:
    """Its value ``[G]`` and its derivative by the images ``[G, n, C, H, W]``."""
    leaf = images.detach().requires_grad_()
    found, statistics = updates(pixels.to_input(leaf), shared.labels)
    if shared.is_pruned:
        found = tuple(part * (seen != 0) for part, seen in zip(found, shared.update, strict=True))
    value, slopes = matching_cost(found, shared.update, attack.cost)
    outputs, weights = list(found), list(slopes)
    variation = attack.total_variation * total_variation(leaf.flatten(0, 1)).reshape(len(leaf), -1).mean(1)
    penalties = [variation]
    if shared.statistics:
        penalties.append(STATISTICS_WEIGHT * statistics_apart(statistics, shared.statistics))
    for penalty in penalties:
        value = value + penalty.detach()
        outputs.append(penalty)
        weights.append(torch.ones_like(penalty))
    (slope,) = torch.autograd.grad(outputs, leaf, weights)
    return value, slope


def statistics_apart(found: Gradients, seen: Gradients) -> torch.Tensor:
    """Squared distance over squared size, averaged over layers, ``[G]``."""
    apart = [
        (a - b).square().sum(1) / b.square().sum(1).clamp_min(LEAST_SQUARE) for a, b in zip(found, seen, strict=True)
    ]
    return torch.stack(apart).mean(0)
