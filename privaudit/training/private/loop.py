"""DP-SGD: Poisson sampling, every sample's gradient clipped, Gaussian noise on their sum.

What is drawn here follows from a seed, as everything in an audit does, so that whoever knows the seed can take the
noise off again, and numbers of finite precision are no real ones (Mironov 2012). The training is that of an audit: what
it finds out holds for a training with secure randomness, and its models are not for deployment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.runtime.seeds import derive_seed
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, TrainingRecord, as_network_input, demand_finite, make_optimizer
from privaudit.training.private.canary_gradients import CanaryGradients
from privaudit.training.private.clipped_sums import ClippedSums, clipped_sums
from privaudit.training.private.mechanism import PrivateTraining

if TYPE_CHECKING:
    from privaudit.training.recipe import Recipe


def train_privately(
    model: nn.Module,
    samples: Samples,
    members: npt.NDArray[np.int64],
    recipe: Recipe,
    seed: int,
    hardware: Hardware,
    on_epoch: Callable[[int], None] | None = None,
    planted: CanaryGradients | None = None,
) -> TrainingRecord:
    """Train ``model`` in place by a recipe that has a `PrivateTraining`; parameters are those of `loop.train`.

    ``planted`` are gradients that are drawn, clipped and added as those of samples are, and read what each step did.
    The losses on record are those of the samples that were drawn: they are not private, and stay with the audit.
    """
    privacy = recipe.privacy
    assert privacy is not None  # noqa: S101 - such recipes alone come here
    start = time.perf_counter()
    rows = torch.from_numpy(np.ascontiguousarray(members)).to(hardware.torch_device)
    steps = privacy.steps(recipe.epochs)
    drawing = torch.Generator().manual_seed(derive_seed(seed, "poisson"))
    noise = torch.Generator(hardware.torch_device).manual_seed(derive_seed(seed, "noise"))
    optimizer, engine = make_optimizer(model, recipe), clipped_sums(model, hardware)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.train()
    losses: list[float] = []
    total, drawn, seen = 0.0, 0, 0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(step, steps)
        taken = draw_batch(len(rows) + len(planted or ()), privacy.sample_rate, drawing)
        batch = rows[taken[taken < len(rows)].to(rows.device)]
        sums, loss = sum_over(engine, samples, batch, privacy.max_grad_norm)
        if planted is None:
            gradients = noisy_mean(sums, trained, len(rows), privacy, noise)
        else:
            both = planted.add(sums, trained, taken[taken >= len(rows)] - len(rows), privacy.max_grad_norm)
            gradients = noisy_mean(both, trained, len(rows), privacy, noise)
            planted.read(gradients, sums, trained, privacy.sample_rate * len(rows))
        for parameter, gradient in zip(trained, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        total, drawn, seen = total + loss, drawn + len(batch), seen + len(batch)
        # Epochs end where so many steps are done as are an epoch's.
        done = (step + 1) * recipe.epochs // steps
        if done > len(losses):
            losses.append(total / max(drawn, 1))
            total, drawn = 0.0, 0
            demand_finite(losses, recipe, model)
            if on_epoch is not None:
                on_epoch(done)
    model.eval()
    return TrainingRecord(time.perf_counter() - start, losses, seen)


def draw_batch(samples: int, rate: float, generator: torch.Generator) -> torch.Tensor:
    """Draw every sample with the same chance, independently: int64 positions, none to all of them."""
    return torch.nonzero(torch.rand(samples, generator=generator) < rate).squeeze(1)


def sum_over(
    engine: ClippedSums, samples: Samples, batch: torch.Tensor, norm: float
) -> tuple[list[torch.Tensor] | None, float]:
    """Return the sum of a batch's clipped gradients, and of its losses; None of an empty batch."""
    sums: list[torch.Tensor] | None = None
    total = 0.0
    if not len(batch):
        return sums, total
    for part in batch.split(engine.most[samples.device.type]):
        found, loss = engine(as_network_input(samples.take(part)), samples.labels[part], norm)
        sums = found if sums is None else [one + another for one, another in zip(sums, found, strict=True)]
        total += loss
    return sums, total


def noisy_mean(
    sums: list[torch.Tensor] | None,
    trained: list[nn.Parameter],
    samples: int,
    privacy: PrivateTraining,
    generator: torch.Generator,
) -> list[torch.Tensor]:
    """Add noise to the sums, and divide by the number of samples that a batch has on average.

    That number does not depend on who was drawn: a mean over those who were would tell how many.
    """
    deviation = privacy.noise_multiplier * privacy.max_grad_norm
    expected = privacy.sample_rate * samples
    found = []
    for index, parameter in enumerate(trained):
        drawn = torch.randn(parameter.shape, generator=generator, device=parameter.device) * deviation
        found.append((drawn if sums is None else sums[index] + drawn).div_(expected))
    return found
