"""Convolutions as the layerwise engine runs them: in groups, or unfolded where the input has few channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from privaudit.inversion.gradient_engines.layers import NoRule, Parametric, Tensors, pair
from privaudit.inversion.gradient_engines.sample_gradients import norms

#: Fewer channels than this are few.
FEW = 4


def convolution(layer: nn.Conv2d) -> Parametric:
    """The faster form."""
    return Unfolded(layer) if layer.in_channels < FEW else Grouped(layer)


class Grouped(Parametric):
    """z = W ∗ a + b: with W a convolution of the whole batch, with v one in as many groups as there are samples.

    The former likes its channels last, the latter has them first: each sample's lie together, as those of one image.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        if layer.groups != 1 or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            raise NoRule("there is no rule for grouped convolutions, nor for padding but by a number of zeros")
        super().__init__(layer)
        self._weight = layer.weight.detach().contiguous(memory_format=torch.channels_last)
        self._kernel = layer.kernel_size
        self._stride, self._padding, self._dilation = (
            pair(value) for value in (layer.stride, layer.padding, layer.dilation)
        )

    def forward(self, taken: torch.Tensor) -> tuple[torch.Tensor, Any]:
        return self._shared(taken, self._bias), taken

    def inwards(self, memory: Any, slope: torch.Tensor) -> torch.Tensor:
        return self._transposed(slope.permute(0, 3, 1, 2), self._weight, memory.shape, 1).permute(0, 2, 3, 1)

    def gradient(self, memory: Any, slope: torch.Tensor, seen: Tensors) -> tuple[Any, torch.Tensor, torch.Tensor]:
        count, inputs, slopes = len(slope), _together(memory), _together(slope)
        size = (count * len(self._weight), *self._weight.shape[1:])
        weight = conv2d_weight(inputs, size, slopes, self._stride, self._padding, self._dilation, count)
        found: Tensors = (weight.reshape(count, -1),)
        if self._bias is not None:
            found = (*found, slope.sum((1, 2)))
        product = torch.stack([(ours * theirs).sum(1) for ours, theirs in zip(found, seen, strict=True)]).sum(0)
        return (found, inputs, slopes), product, norms(found).square()

    def direction(self, gradient: Any, seen: Tensors, share: torch.Tensor) -> Any:
        found, inputs, slopes = gradient
        moves = [
            torch.addcmul(theirs, ours, share.unsqueeze(1), value=-1) for ours, theirs in zip(found, seen, strict=True)
        ]
        weight = moves[0].reshape(-1, *self._weight.shape[1:])
        return weight, None if self._bias is None else moves[1].flatten(), inputs, slopes

    def tangent(self, memory: Any, change: torch.Tensor | None, direction: Any) -> torch.Tensor:
        count, (weight, bias, inputs, _) = len(memory), direction
        own = functional.conv2d(inputs, weight, bias, self._stride, self._padding, self._dilation, count)
        own = own.reshape(count, -1, *own.shape[2:]).permute(0, 2, 3, 1)
        return own if change is None else self._shared(change, None).add_(own)

    def adjoint(
        self, memory: Any, slope: torch.Tensor | None, turn: torch.Tensor, change: torch.Tensor | None, direction: Any
    ) -> torch.Tensor:
        shape, (weight, _, _, slopes) = memory.shape, direction
        own = self._transposed(slopes, weight, shape, shape[0])
        return self.inwards(memory, turn).add_(own.reshape(shape[0], -1, *shape[1:3]).permute(0, 2, 3, 1))

    def _shared(self, taken: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        image = taken.permute(0, 3, 1, 2)
        given = functional.conv2d(image, self._weight, bias, self._stride, self._padding, self._dilation)
        return given.permute(0, 2, 3, 1)

    def _transposed(self, slope: torch.Tensor, weight: torch.Tensor, shape: torch.Size, groups: int) -> torch.Tensor:
        # What the stride leaves over at the far edge of the input ``[B, H, W, C]``.
        rest = [(shape[1 + axis] + 2 * self._padding[axis] - self._span(axis)) % self._stride[axis] for axis in (0, 1)]
        return functional.conv_transpose2d(
            slope, weight, None, self._stride, self._padding, rest, groups, self._dilation
        )

    def _span(self, axis: int) -> int:
        """How many pixels the kernel reaches over."""
        return self._dilation[axis] * (self._kernel[axis] - 1) + 1


class Unfolded(Grouped):
    """z = [W b] u with the input unfolded once, u ``[B, C · kernel + 1, positions]``; its last row are ones.

    g = δ uᵀ and ż = v u, weights and bias at once; the adjoint is Wᵀ δ̇ + vᵀ δ, folded.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__(layer)
        self._matrix = layer.weight.detach().flatten(1)
        self._whole = self._joined(
            (self._matrix.unsqueeze(0), *(() if self._bias is None else (self._bias.unsqueeze(0),)))
        )

    def _joined(self, parts: Tensors) -> torch.Tensor:
        """``[B, O, C · kernel]``, with the bias as a last column where there is one."""
        weight = parts[0].reshape(-1, *self._matrix.shape)
        return weight if self._bias is None else torch.cat([weight, parts[1].unsqueeze(2)], 2)

    def prepared(self, seen: Tensors) -> Tensors:
        return (self._joined(seen),)

    def forward(self, taken: torch.Tensor) -> tuple[torch.Tensor, Any]:
        unfolded = self._unfold(taken)
        return self._product(unfolded, self._whole.expand(len(taken), -1, -1), taken.shape), (unfolded, taken.shape)

    def inwards(self, memory: Any, slope: torch.Tensor) -> torch.Tensor:
        return self._fold(self._columns(slope), memory[1])

    def gradient(self, memory: Any, slope: torch.Tensor, seen: Tensors) -> tuple[Any, torch.Tensor, torch.Tensor]:
        flat = slope.flatten(1, 2).transpose(1, 2)
        found = torch.bmm(flat, memory[0].transpose(1, 2))
        return (found, flat), (found * seen[0]).sum((1, 2)), found.square().sum((1, 2))

    def direction(self, gradient: Any, seen: Tensors, share: torch.Tensor) -> Any:
        found, flat = gradient
        return torch.addcmul(seen[0], found, share.reshape(-1, 1, 1), value=-1), flat

    def tangent(self, memory: Any, change: torch.Tensor | None, direction: Any) -> torch.Tensor:
        own = self._product(memory[0], direction[0], memory[1])
        return own if change is None else self._shared(change, None).add_(own)

    def adjoint(
        self, memory: Any, slope: torch.Tensor | None, turn: torch.Tensor, change: torch.Tensor | None, direction: Any
    ) -> torch.Tensor:
        move, flat = direction
        depth = self._matrix.shape[1]
        columns = self._columns(turn)
        columns.baddbmm_(move[:, :, :depth].transpose(1, 2), flat)
        return self._fold(columns, memory[1])

    def _product(self, unfolded: torch.Tensor, weight: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """``[B, H, W, O]``."""
        given = torch.bmm(unfolded.transpose(1, 2), weight.transpose(1, 2))
        return given.reshape(len(given), *self._size(shape), -1)

    def _columns(self, slope: torch.Tensor) -> torch.Tensor:
        """Wᵀ δ."""
        return torch.bmm(self._matrix.T.expand(len(slope), -1, -1), slope.flatten(1, 2).transpose(1, 2))

    def _size(self, shape: torch.Size) -> list[int]:
        """Rows and columns of the output for an input ``[B, H, W, C]``."""
        return [
            (shape[1 + axis] + 2 * self._padding[axis] - self._span(axis)) // self._stride[axis] + 1 for axis in (0, 1)
        ]

    def _unfold(self, taken: torch.Tensor) -> torch.Tensor:
        (down, across), image = self._padding, taken.permute(0, 3, 1, 2)
        padded = functional.pad(image, (across, across, down, down)).contiguous()
        apart, plane, row, _ = padded.stride()
        steps = (self._dilation[0] * row, self._dilation[1], self._stride[0] * row, self._stride[1])
        size = (*image.shape[:2], *self._kernel, *self._size(taken.shape))
        depth = self._matrix.shape[1]
        unfolded = taken.new_empty(len(image), self._whole.shape[2], size[4] * size[5])
        unfolded[:, depth:] = 1
        unfolded[:, :depth].view(size).copy_(padded.as_strided(size, (apart, plane, *steps)))
        return unfolded

    def _fold(self, columns: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """The transpose of `_unfold`, but for the ones."""
        (down, across), (high, wide) = self._padding, self._size(shape)
        parts = columns.reshape(shape[0], shape[3], *self._kernel, high, wide)
        sums = columns.new_zeros(shape[0], shape[3], shape[1] + 2 * down, shape[2] + 2 * across)
        for i in range(self._kernel[0]):
            rows = sums[:, :, i * self._dilation[0] :][:, :, :: self._stride[0]][:, :, :high]
            for j in range(self._kernel[1]):
                rows[..., j * self._dilation[1] :][..., :: self._stride[1]][..., :wide] += parts[:, :, i, j]
        return sums[:, :, down : down + shape[1], across : across + shape[2]].permute(0, 2, 3, 1)


def _together(images: torch.Tensor) -> torch.Tensor:
    """``[B, H, W, C]`` → ``[1, B · C, H, W]``."""
    return images.permute(0, 3, 1, 2).reshape(1, -1, *images.shape[1:3])
