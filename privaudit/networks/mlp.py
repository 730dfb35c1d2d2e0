"""A network for feature vectors: one hidden layer."""

from __future__ import annotations

import math

from torch import nn

HIDDEN = 256


def build_mlp(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Flatten, linear, ReLU, linear. Takes images too."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
