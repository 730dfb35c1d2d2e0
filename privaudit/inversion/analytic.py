"""Analytic recovery (T1): what a gradient gives away in closed form, and images that have the features found so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from privaudit.inversion.matching import Canvas, total_variation
from privaudit.inversion.optimisers import Adam, Schedule
from privaudit.inversion.presets import FeatureAttack

LEAST = 1e-30


def recover_input(weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The input of a fully connected layer, from its gradient (Phong et al. 2018).

    For z = W a + b, ∂/∂W_j = (∂/∂z_j) a and ∂/∂b_j = ∂/∂z_j. So a = ∂W_j/∂b_j, exactly, for any j whose derivative
    is not zero; the largest has the smallest rounding error.

    Parameters
    ----------
    weight
        ``[B, J, D]``.
    bias
        ``[B, J]``.

    Returns
    -------
    torch.Tensor
        ``[B, D]``; zeros where the whole gradient is zero, which tells nothing.
    """
    chosen = bias.abs().argmax(1)
    rows = torch.arange(len(bias), device=bias.device)
    divisor = bias[rows, chosen].unsqueeze(1)
    usable = divisor.abs() > LEAST
    return torch.where(usable, weight[rows, chosen] / torch.where(usable, divisor, 1.0), 0.0)


@dataclass(frozen=True)
class FeatureMatched:
    """Images ``[n, C, H, W]`` on the 0–1 scale, and the objective ``[n]`` that they reached."""

    images: torch.Tensor
    objective: torch.Tensor


class FeatureReader:
    """Reads the input of one layer while a network runs: φ(x)."""

    def __init__(self, model: nn.Module, layer: str) -> None:
        self._model, self._layer = model, model.get_submodule(layer)
        self._seen: torch.Tensor | None = None

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Features ``[B, D]`` of network inputs."""

        def watch(_: nn.Module, taken: tuple[torch.Tensor, ...]) -> None:
            self._seen = taken[0]

        hook = self._layer.register_forward_pre_hook(watch)
        try:
            self._model(inputs)
        finally:
            hook.remove()
        assert self._seen is not None  # noqa: S101 - the structure was found by watching this layer run
        return self._seen


def match_features(
    reader: FeatureReader,
    features: torch.Tensor,
    starts: torch.Tensor,
    attack: FeatureAttack,
    canvas: Canvas,
    on_step: Callable[[int], None] | None = None,
) -> FeatureMatched:
    """Search for images with the given features by first-order steps: signed Adam, box, total variation.

    Parameters
    ----------
    reader
        Of the attacked model in eval mode.
    features
        ``[n, D]``, as `recover_input` found them.
    starts
        ``[n, C, H, W]`` on the 0–1 scale.
    attack, canvas
        What to minimise, and in which units (the 0–1 scale).
    on_step
        Called after each step with n.
    """
    shape = starts.shape[1:]
    variables = starts.flatten(1)
    size = features.square().sum(1).clamp_min(LEAST)
    optimiser = Adam(variables, signed=True)
    schedule = Schedule(len(variables), attack.rate, attack.steps, variables.device)
    best, lowest = variables.clone(), torch.full((len(variables),), float("inf"), device=variables.device)
    for step in range(attack.steps):
        leaf = variables.detach().requires_grad_()
        image = leaf.reshape(-1, *shape)
        found = reader(canvas.pixels.to_input(canvas.unit(image)))
        value = (found - features).square().sum(1) / size + attack.total_variation * total_variation(image)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
        value = value.detach()
        better = value < lowest
        best = torch.where(better.unsqueeze(1), variables, best)
        lowest = torch.where(better, value, lowest)
        variables = optimiser.step(variables, slope, value, schedule.rates(step, value)).clamp(0, 1)
        if on_step is not None:
            on_step(len(variables))
    return FeatureMatched(best.reshape(-1, *shape).clamp(0, 1), lowest)
