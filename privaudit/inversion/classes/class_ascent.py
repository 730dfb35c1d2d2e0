"""Gradient ascent to what a model takes for a class (Fredrikson, Jha and Ristenpart 2015), under a stated prior.

For class c it climbs log p(c | x(z)) − (w/2) ‖z‖², z from 0, by Adam: with w = 1 that is the logarithm of
p(c | x) p(x) but for a constant, and its top the likeliest sample of the class. All classes are climbed for at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from privaudit.inversion.classes.class_prior import ClassPrior

Floats = npt.NDArray[np.float32]

#: Steps, their size, and the weight of the prior.
STEPS, RATE, WEIGHT = 150, 0.1, 0.002


def reconstruct_classes(
    model: nn.Module,
    prior: ClassPrior,
    classes: int,
    to_input: Callable[[torch.Tensor], torch.Tensor],
    device: torch.device,
    weight: float = WEIGHT,
) -> Floats:
    """Return what a model takes for each class, flat float32 ``[C, D]``.

    Parameters
    ----------
    model
        In eval mode, on the device.
    prior
        Of flat samples.
    classes
        C.
    to_input
        Turns flat samples ``[B, D]`` into what the network takes.
    weight
        Of the prior's logarithm.
    """
    z = torch.zeros(classes, len(prior.axes), device=device, requires_grad=True)
    labels = torch.arange(classes, device=device)
    optimiser = torch.optim.Adam([z], lr=RATE)
    for _ in range(STEPS):
        optimiser.zero_grad(set_to_none=True)
        logits = model(to_input(prior.decode(z))).float()
        # Sums, so that no class's step depends on how many others there are.
        cost = functional.cross_entropy(logits, labels, reduction="sum") + 0.5 * weight * z.square().sum()
        z.grad = torch.autograd.grad(cost, z)[0]
        optimiser.step()
    with torch.no_grad():
        found: Floats = prior.decode(z).cpu().numpy()
    return found
