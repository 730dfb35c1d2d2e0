"""Networks that no default of an unlearning method was tuned on: BatchNorm with dropout, GroupNorm, residual blocks."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def batchnorm(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Three convolutions with BatchNorm, dropout before the linear layer."""
    channels = input_shape[-1]
    return nn.Sequential(
        nn.Conv2d(channels, 24, 3, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Conv2d(24, 48, 3, padding=1, stride=2, bias=False),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.Conv2d(48, 48, 3, padding=1, stride=2, bias=False),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(48 * 4, classes),
    )


def groupnorm(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """The same with GroupNorm, and LayerNorm before a hidden layer; no statistics of batches anywhere."""
    channels = input_shape[-1]
    return nn.Sequential(
        nn.Conv2d(channels, 24, 3, padding=1),
        nn.GroupNorm(4, 24),
        nn.SiLU(),
        nn.Conv2d(24, 48, 3, padding=1, stride=2),
        nn.GroupNorm(4, 48),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.LayerNorm(48 * 16),
        nn.Dropout(0.2),
        nn.Linear(48 * 16, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


class Block(nn.Module):
    """Two convolutions with BatchNorm around which the input, brought to their shape, is carried."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        self.around = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        inner = functional.relu(self.norms[0](self.first(inputs)))
        return functional.relu(self.norms[1](self.second(inner)) + self.around(inputs))


def residual(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """A small ResNet with BatchNorm: a convolution, three blocks, a mean over the image."""
    return nn.Sequential(
        nn.Conv2d(input_shape[-1], 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16, 16, 1),
        Block(16, 32, 2),
        Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, classes),
    )
