"""Networks without BatchNorm, whose samples never meet: for training with differential privacy.

Layers are those of the networks that they are named after, with GroupNorm (Wu and He 2018) in BatchNorm's place; what
is computed from the training inputs there is trained here.
"""

from __future__ import annotations

from torch import nn
from torchvision import models

from privaudit.errors import UsageError
from privaudit.networks.airbench import SMALLEST_SIDE, WORKING_SIDE
from privaudit.networks.residual import adapt_stem

#: Groups of channels that are normalised together, where the channels are as many.
GROUPS = 16

#: Channels of the first layer, and of the first block; the others have four times as many.
FIRST, WIDTH = 24, 48


def _norm(channels: int) -> nn.GroupNorm:
    groups = next(count for count in range(min(GROUPS, channels), 0, -1) if channels % count == 0)
    return nn.GroupNorm(groups, channels)


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    """Convolution, 2×2 max-pooling, norm, GELU; convolution, norm, GELU."""
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        _norm(outputs),
        nn.GELU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        _norm(outputs),
        nn.GELU(),
    ]


def build_airbench_groupnorm(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build airbench-narrow's three blocks with GroupNorm, behind a first layer that is trained."""
    height, across, channels = input_shape
    if min(height, across) < SMALLEST_SIDE:
        raise UsageError(
            f"the network airbench-groupnorm needs images of at least {SMALLEST_SIDE}×{SMALLEST_SIDE}, not "
            f"{height}×{across}",
            hint="Use --network cnn.",
        )
    stride = max(1, round(min(height, across) / WORKING_SIDE))
    return nn.Sequential(
        nn.Conv2d(channels, FIRST, 2 * stride, stride),
        nn.GELU(),
        *_block(FIRST, WIDTH),
        *_block(WIDTH, 4 * WIDTH),
        *_block(4 * WIDTH, 4 * WIDTH),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * WIDTH, classes),
    )


def build_resnet18_groupnorm(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build ResNet-18 (He et al. 2016) with GroupNorm."""
    return adapt_stem(models.resnet18(weights=None, num_classes=classes, norm_layer=_norm), input_shape)
