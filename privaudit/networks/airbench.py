"""A convolutional network made to be trained in ten epochs.

After Jordan 2024 ("94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv 2404.00498). What makes it fast to train: a
first layer of fixed filters that whiten patches, BatchNorm without scale, whose biases learn faster than the rest (the
recipe's part), and few, wide layers that pool early.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from privaudit.errors import UsageError
from privaudit.networks.data_dependent_init import AdaptsToInputs

SMALLEST_SIDE = 16

#: Pixels a side that the blocks are made for; larger images are reduced to about this many by the first layer.
WORKING_SIDE = 32

#: Added to every variance of a patch before its root is taken: directions with hardly any are not blown up to noise.
WHITENING_FLOOR = 5e-4

#: The first layer keeps at most so many directions of a patch, those of largest variance; each counts twice, ±.
MOST_DIRECTIONS = 24

#: Epochs in which the first layer's biases learn. Afterwards no gradient has to travel through the largest images.
EPOCHS_OF_FIRST_BIAS = 3

#: What the last features are multiplied by, so that training starts undecided.
FEATURE_SCALE = 1 / 9

#: The weight of a new batch in BatchNorm's running mean and variance: few epochs leave little time to average.
NORM_MOMENTUM = 0.4


class Whitening(nn.Module):
    """Fixed filters that turn patches into uncorrelated numbers of variance 1, each with both signs, plus a bias.

    Its filters are the eigenvectors of the patches' covariance over the roots of their eigenvalues. They are a buffer:
    saved with the model, and no method that trains or unlearns touches them.
    """

    filters: torch.Tensor

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.stride = max(1, round(side / WORKING_SIDE))
        self.patch = 2 * self.stride
        directions = min(channels * self.patch**2, MOST_DIRECTIONS)
        self.channels = 2 * directions
        half = torch.empty(directions, channels, self.patch, self.patch)
        nn.init.orthogonal_(half)
        self.register_buffer("filters", torch.cat([half, -half]))
        self.bias = nn.Parameter(torch.zeros(self.channels))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(inputs, self.filters, self.bias, self.stride)

    @torch.no_grad()
    def fit(self, inputs: torch.Tensor) -> None:
        """Set the filters from images ``[B, C, H, W]``; computed on the CPU, so that devices agree on them."""
        count, total = 0, torch.zeros((), dtype=torch.float64)
        for batch in inputs.float().cpu().split(64):
            patches = functional.unfold(batch.contiguous(), self.patch, stride=self.stride)
            flat = patches.transpose(1, 2).reshape(-1, patches.shape[1])
            count, total = count + len(flat), total + (flat.T @ flat).double()
        variances, vectors = torch.linalg.eigh(total / count)
        # Largest first. An eigenvector's sign is arbitrary: its largest entry is made positive.
        variances, vectors = variances.flip(0).clamp(min=0), vectors.flip(1)
        vectors = vectors * vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
        half = (vectors / (variances + WHITENING_FLOOR).sqrt()).T[: self.channels // 2]
        half = half.reshape(-1, *self.filters.shape[1:])
        self.filters.copy_(torch.cat([half, -half]))


def _norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm with a bias that is trained and a scale that stays 1."""
    layer = nn.BatchNorm2d(channels, momentum=NORM_MOMENTUM, eps=1e-5)
    # A buffer, not a parameter that happens not to train: no optimiser and no attack finds it.
    del layer.weight
    layer.register_buffer("weight", torch.ones(channels), persistent=False)
    return layer


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution, 2×2 max-pooling, norm, GELU; convolution, norm, GELU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        _norm(outputs),
        nn.GELU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        _norm(outputs),
        nn.GELU(),
    )


class Airbench(AdaptsToInputs):
    """The whitening layer, three blocks of ``width``, ``4 width`` and ``4 width`` channels, and a linear layer."""

    def __init__(self, input_shape: tuple[int, ...], classes: int, width: int) -> None:
        super().__init__()
        height, side_across, channels = input_shape
        self.whitening = Whitening(channels, min(height, side_across))
        self.blocks = nn.Sequential(
            nn.GELU(), _block(self.whitening.channels, width), _block(width, 4 * width), _block(4 * width, 4 * width)
        )
        self.head = nn.Linear(4 * width, classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        features = self.blocks(self.whitening(inputs)).amax(dim=(2, 3))
        logits: torch.Tensor = self.head(features * FEATURE_SCALE)
        return logits

    def adapt(self, inputs: torch.Tensor) -> None:
        self.whitening.fit(inputs)

    def begin_epoch(self, epoch: int) -> None:
        self.whitening.bias.requires_grad_(epoch < EPOCHS_OF_FIRST_BIAS)


def build_airbench(input_shape: tuple[int, ...], classes: int, width: int = 64) -> nn.Module:
    """Build the network for images of 16 pixels a side and more, of any number of channels.

    Parameters
    ----------
    input_shape
        ``(H, W, C)``.
    classes
        Number of logits.
    width
        Channels of the first block; the others have four times as many.

    Raises
    ------
    UsageError
        For smaller images.
    """
    height, across, _ = input_shape
    if min(height, across) < SMALLEST_SIDE:
        raise UsageError(
            f"the network airbench needs images of at least {SMALLEST_SIDE}×{SMALLEST_SIDE}, not {height}×{across}",
            hint="Use --network cnn.",
        )
    if width < 1 or not math.isfinite(width):
        raise UsageError(f"a width of {width}: it is a number of channels, 1 or more")
    return Airbench(input_shape, classes, width)


def build_narrow(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build it with three quarters of the channels: .6 of the work."""
    return build_airbench(input_shape, classes, 48)


def build_wide(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build it with twice the channels: four times the work."""
    return build_airbench(input_shape, classes, 128)
