"""The paper's small network, two convolutions and one fully connected layer; and its variants that remember less."""

from __future__ import annotations

from torch import nn

from privaudit.errors import UsageError

SMALLEST_SIDE = 4

#: Channels of the two convolutions, and those of the narrow variant; the share of features that dropout leaves out.
CHANNELS, NARROW, DROPPED = (32, 64), (12, 24), 0.5


def build_cnn(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two blocks of 3×3 convolution, 2×2 max-pooling and ReLU (32 and 64 channels), then a linear layer.

    ReLU follows the pooling: the two commute (both are monotone), and a quarter of the elements is left.
    """
    return nn.Sequential(*_layers(input_shape, classes, CHANNELS))


def build_narrow(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build the same with 12 and 24 channels."""
    return nn.Sequential(*_layers(input_shape, classes, NARROW))


def build_dropout(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build the `cnn` with dropout of half of what its linear layer reads."""
    *layers, last = _layers(input_shape, classes, CHANNELS)
    return nn.Sequential(*layers, nn.Dropout(DROPPED), last)


def _layers(input_shape: tuple[int, ...], classes: int, widths: tuple[int, int]) -> list[nn.Module]:
    height, width, channels = input_shape
    first, second = widths
    if min(height, width) < SMALLEST_SIDE:
        raise UsageError(f"the cnn needs images of at least {SMALLEST_SIDE}×{SMALLEST_SIDE}, not {height}×{width}")
    return [
        nn.Conv2d(channels, first, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(second * (height // 4) * (width // 4), classes),
    ]
