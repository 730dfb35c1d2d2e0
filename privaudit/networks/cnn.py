"""The paper's small network: two convolutions and one fully connected layer."""

from __future__ import annotations

from torch import nn

from privaudit.errors import UsageError

SMALLEST_SIDE = 4


def build_cnn(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two blocks of 3×3 convolution, 2×2 max-pooling and ReLU (32 and 64 channels), then a linear layer.

    ReLU follows the pooling: the two commute (both are monotone), and a quarter of the elements is left.
    """
    height, width, channels = input_shape
    if min(height, width) < SMALLEST_SIDE:
        raise UsageError(f"the cnn needs images of at least {SMALLEST_SIDE}×{SMALLEST_SIDE}, not {height}×{width}")
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * (height // 4) * (width // 4), classes),
    )
