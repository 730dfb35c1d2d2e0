"""A small ResNet with BatchNorm and dropout that nothing was tuned on; the text of `grid_networks` names its audits."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


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


def resnet(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Halve the image, two blocks, a mean over quarters of it, dropout, a linear layer."""
    return nn.Sequential(
        nn.Conv2d(input_shape[-1], 16, 3, 2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16, 24, 1),
        Block(24, 48, 2),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(48 * 4, classes),
    )
