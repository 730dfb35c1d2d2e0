"""torchvision's residual networks, with a stem for small images."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision import models

#: Images below this many pixels a side get a 3×3 stem of stride 1 and no max-pooling.
SMALL_IMAGE = 64


def build_resnet18(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """ResNet-18 (He et al. 2016)."""
    return adapt_stem(models.resnet18(weights=None, num_classes=classes), input_shape)


def build_resnet50(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """ResNet-50 (He et al. 2016)."""
    return adapt_stem(models.resnet50(weights=None, num_classes=classes), input_shape)


def build_resnext50(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """ResNeXt-50, 32×4d (Xie et al. 2017)."""
    return adapt_stem(models.resnext50_32x4d(weights=None, num_classes=classes), input_shape)


def adapt_stem(network: Any, input_shape: tuple[int, ...]) -> nn.Module:
    """Give a residual network of torchvision's a first layer for these inputs."""
    height, width, channels = input_shape
    width_of_stem = network.conv1.out_channels
    if min(height, width) < SMALL_IMAGE:
        network.conv1 = nn.Conv2d(channels, width_of_stem, 3, stride=1, padding=1, bias=False)
        network.maxpool = nn.Identity()
    elif channels != network.conv1.in_channels:
        network.conv1 = nn.Conv2d(channels, width_of_stem, 7, stride=2, padding=3, bias=False)
    else:
        return network  # type: ignore[no-any-return]
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    return network  # type: ignore[no-any-return]
