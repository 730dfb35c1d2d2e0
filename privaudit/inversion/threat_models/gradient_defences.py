"""What is done to an update before it is sent: clipped, noised, pruned, quantised."""

from __future__ import annotations

import torch

from privaudit.inversion.gradient_engines.sample_gradients import LEAST_NORM, Gradients, norms
from privaudit.results.audit.realistic_inversion import ThreatModel


def defended(update: Gradients, setting: ThreatModel, seeds: list[int]) -> Gradients:
    """Return updates ``[G, P]`` as they are sent; ``seeds`` has one a group, for its noise.

    In this order: scaled down to a norm of at most ``clip``; N(0, (noise · clip)²) on every coordinate (as DP-SGD does
    to each record's gradient: Abadi et al. 2016); all but the share ``keep`` of largest magnitude set to zero (Aji and
    Heafield 2017); each tensor rounded to ``bits``.
    """
    if setting.clip is not None:
        factor = (setting.clip / norms(update).clamp_min(LEAST_NORM)).clamp_max(1.0).unsqueeze(1)
        update = tuple(part * factor for part in update)
    if setting.noise > 0:
        update = _noised(update, setting.noise * (setting.clip or 1.0), seeds)
    if setting.keep < 1:
        update = pruned(update, setting.keep)
    return update if setting.bits is None else tuple(quantised(part, setting.bits) for part in update)


def _noised(update: Gradients, deviation: float, seeds: list[int]) -> Gradients:
    drawn: list[list[torch.Tensor]] = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        drawn.append([torch.randn(part.shape[1], generator=generator) for part in update])
    columns = zip(*drawn, strict=True)
    return tuple(
        part + deviation * torch.stack(column).to(part.device) for part, column in zip(update, columns, strict=True)
    )


def pruned(update: Gradients, keep: float) -> Gradients:
    """Set all but the share ``keep`` of coordinates, the largest of each update, to zero."""
    sizes = torch.cat([part.abs() for part in update], 1)
    count = max(1, round(keep * sizes.shape[1]))
    least = sizes.kthvalue(sizes.shape[1] - count + 1, dim=1).values.unsqueeze(1)
    return tuple(torch.where(part.abs() >= least, part, 0.0) for part in update)


def quantised(part: torch.Tensor, bits: int) -> torch.Tensor:
    """Round ``[G, P]`` to 2ᵇ − 1 even steps from −max to max; to one bit: the sign times the mean magnitude."""
    if bits == 1:
        return part.sign() * part.abs().mean(1, keepdim=True)
    most = part.abs().amax(1, keepdim=True).clamp_min(LEAST_NORM)
    levels = 2 ** (bits - 1) - 1
    rounded: torch.Tensor = (part / most * levels).round() * most / levels
    return rounded
