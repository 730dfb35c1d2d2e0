"""Networks for feature vectors: one hidden layer."""

from __future__ import annotations

import math

from torch import nn

#: Hidden units, and those of the narrow variant; the share of them that dropout leaves out of a step.
HIDDEN, NARROW, DROPPED = 256, 64, 0.5


def build_mlp(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Flatten, linear, ReLU, linear. Takes images too."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))


def build_narrow(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build the same with a quarter of the hidden units."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), NARROW), nn.ReLU(), nn.Linear(NARROW, classes))


def build_dropout(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build the `mlp` with dropout of half of its hidden units."""
    *layers, last = build_mlp(input_shape, classes).children()
    return nn.Sequential(*layers, nn.Dropout(DROPPED), last)
