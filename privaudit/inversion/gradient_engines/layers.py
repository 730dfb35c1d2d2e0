"""Layers as the layerwise engine runs them: weights that all samples share, and a direction for each sample.

For a layer z = f(a, θ), with δ = ∂L/∂z and dots for the derivative where θ moves in a direction v of the sample's own:

- forward:  z = f(a, θ)
- backward: ∂L/∂a = (∂f/∂a)ᵀ δ, and the sample's gradient g = (∂f/∂θ)ᵀ δ
- tangent:  ż = (∂f/∂a) ȧ + (∂f/∂θ) v
- adjoint:  the derivative of ∂L/∂a, that is (∂f/∂a)ᵀ δ̇ + ((∂f/∂a)ᵀ)˙ δ

Directions are v = b − ρ g, with b a gradient that was seen and ρ a number a sample; g and v stay in whatever form is
cheapest. Images are ``[B, H, W, C]`` here: pooling is ten times faster with the channels last, and what a kernel covers
lies together.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from privaudit.networks.build import Standardise

Tensors = tuple[torch.Tensor, ...]

#: Dimensions of a batch of images, and of one of rows.
IMAGES, ROWS = 4, 2


class NoRule(ValueError):
    """A network that is no plain sequence of layers that there is a rule for."""


class Layer:
    """A layer without parameters that does nothing; others say what they do instead."""

    #: Number of parameter tensors.
    parameters = 0

    def __init__(self, layer: nn.Module) -> None:
        pass

    def forward(self, taken: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """z, and what the other passes need to remember."""
        return taken, None

    def inwards(self, memory: Any, slope: torch.Tensor) -> torch.Tensor:
        """(∂f/∂a)ᵀ times a slope: ∂L/∂a."""
        return slope

    def tangent(self, memory: Any, change: torch.Tensor | None, direction: Any) -> torch.Tensor | None:
        """ż; a change ȧ of None is none at all."""
        return change

    def adjoint(
        self, memory: Any, slope: torch.Tensor | None, turn: torch.Tensor, change: torch.Tensor | None, direction: Any
    ) -> torch.Tensor:
        """The derivative of ∂L/∂a, from δ, δ̇ (the turn of the slope) and ȧ."""
        return self.inwards(memory, turn)


class Parametric(Layer):
    """A layer with weights and perhaps a bias."""

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        self._bias = None if layer.bias is None else layer.bias.detach()
        self.parameters = 1 if self._bias is None else 2

    def prepared(self, seen: Tensors) -> Tensors:
        """A gradient b of this layer's parameters ``[B, P]`` as the passes take it."""
        return seen

    def gradient(self, memory: Any, slope: torch.Tensor, seen: Tensors) -> tuple[Any, torch.Tensor, torch.Tensor]:
        """The gradient g in the layer's own form, ⟨g, b⟩ and ‖g‖²."""
        raise NotImplementedError

    def direction(self, gradient: Any, seen: Tensors, share: torch.Tensor) -> Any:
        """The direction v = b − ρ g in the layer's own form, ρ ``[B]``."""
        raise NotImplementedError


class FullyConnected(Parametric):
    """z = W a + c. A gradient of rank one, g = δ aᵀ and δ, is never written out.

    ⟨g, b⟩ = δᵀ B a, ‖g‖² = ‖δ‖² ‖a‖², v a = B a − ρ ‖a‖² δ and vᵀ δ = Bᵀ δ − ρ ‖δ‖² a.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer)
        self._weight = layer.weight.detach()

    def prepared(self, seen: Tensors) -> Tensors:
        return (seen[0].reshape(-1, *self._weight.shape), *seen[1:])

    def forward(self, taken: torch.Tensor) -> tuple[torch.Tensor, Any]:
        if taken.ndim != ROWS:
            raise NoRule("there is no rule for a fully connected layer over anything but rows")
        return functional.linear(taken, self._weight, self._bias), taken

    def inwards(self, memory: Any, slope: torch.Tensor) -> torch.Tensor:
        return slope @ self._weight

    def gradient(self, memory: Any, slope: torch.Tensor, seen: Tensors) -> tuple[Any, torch.Tensor, torch.Tensor]:
        image = torch.bmm(seen[0], memory.unsqueeze(2)).squeeze(2)
        length, size = memory.square().sum(1), slope.square().sum(1)
        product, square = (slope * image).sum(1), length * size
        if self._bias is not None:
            product, square = product + (slope * seen[1]).sum(1), square + size
        return (memory, slope, image, length, size), product, square

    def direction(self, gradient: Any, seen: Tensors, share: torch.Tensor) -> Any:
        taken, slope, image, length, size = gradient
        less = share * length if self._bias is None else share * (length + 1)
        given = image - less.unsqueeze(1) * slope
        if self._bias is not None:
            given += seen[1]
        back = torch.bmm(slope.unsqueeze(1), seen[0]).squeeze(1)
        return given, back.addcmul_((share * size).unsqueeze(1), taken, value=-1)

    def tangent(self, memory: Any, change: torch.Tensor | None, direction: Any) -> torch.Tensor:
        given: torch.Tensor = direction[0]
        return given if change is None else torch.addmm(given, change, self._weight.T)

    def adjoint(
        self, memory: Any, slope: torch.Tensor | None, turn: torch.Tensor, change: torch.Tensor | None, direction: Any
    ) -> torch.Tensor:
        return torch.addmm(direction[1], turn, self._weight)


class Activation(Layer):
    """z = φ(a), entry by entry: the adjoint is φ′(a) δ̇ + φ″(a) ȧ δ."""

    def __init__(self, layer: nn.Module) -> None:
        self._kind = type(layer)

    def forward(self, taken: torch.Tensor) -> tuple[torch.Tensor, Any]:
        if self._kind is nn.ReLU:
            given = taken.clamp_min(0)
            return given, (given.sign(), None)
        if self._kind is nn.Sigmoid:
            given = taken.sigmoid()
            first = given * (1 - given)
            return given, (first, first * (1 - 2 * given))
        given = taken.tanh()
        first = 1 - given * given
        return given, (first, -2 * given * first)

    def inwards(self, memory: Any, slope: torch.Tensor) -> torch.Tensor:
        first: torch.Tensor = memory[0]
        return slope * first

    def tangent(self, memory: Any, change: torch.Tensor | None, direction: Any) -> torch.Tensor | None:
        return None if change is None else self.inwards(memory, change)

    def adjoint(
        self, memory: Any, slope: torch.Tensor | None, turn: torch.Tensor, change: torch.Tensor | None, direction: Any
    ) -> torch.Tensor:
        second: torch.Tensor | None = memory[1]
        turned = self.inwards(memory, turn)
        return turned if second is None or change is None or slope is None else turned + second * change * slope


class MaxPooling(Layer):
    """z = a where it is largest: the tangent gathers from there, the transpose scatters to there."""

    def __init__(self, layer: nn.MaxPool2d) -> None:
        stride = layer.kernel_size if layer.stride is None else layer.stride
        self._settings = [pair(value) for value in (layer.kernel_size, stride, layer.padding, layer.dilation)]
        self._ceil = layer.ceil_mode

    def forward(self, taken: torch.Tensor) -> tuple[torch.Tensor, Any]:
        image = taken.permute(0, 3, 1, 2)
        given, largest = torch.ops.aten.max_pool2d_with_indices(image, *self._settings, self._ceil)
        return given.permute(0, 2, 3, 1), (image, largest)

    def inwards(self, memory: Any, slope: torch.Tensor) -> torch.Tensor:
        image, largest = memory
        scattered: torch.Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
            slope.permute(0, 3, 1, 2), image, *self._settings, self._ceil, largest
        )
        return scattered.permute(0, 2, 3, 1)

    def tangent(self, memory: Any, change: torch.Tensor | None, direction: Any) -> torch.Tensor | None:
        if change is None:
            return None
        largest = memory[1].permute(0, 2, 3, 1)
        return change.flatten(1, 2).gather(1, largest.flatten(1, 2)).reshape(largest.shape)


class Averaging(Layer):
    """z = M a with a matrix that only averages. The transpose is autograd's."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer

    def forward(self, taken: torch.Tensor) -> tuple[torch.Tensor, Any]:
        return self._averaged(taken), taken.shape

    def inwards(self, memory: Any, slope: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            point = slope.new_zeros(memory).requires_grad_()
            (found,) = torch.autograd.grad(self._averaged(point), point, slope)
        return found

    def tangent(self, memory: Any, change: torch.Tensor | None, direction: Any) -> torch.Tensor | None:
        return None if change is None else self._averaged(change)

    def _averaged(self, taken: torch.Tensor) -> torch.Tensor:
        given: torch.Tensor = self._layer(taken.permute(0, 3, 1, 2))
        return given.permute(0, 2, 3, 1)


class Flattening(Layer):
    """Rows of images or channels, as the network has them: channels first."""

    def __init__(self, layer: nn.Flatten) -> None:
        if layer.start_dim != 1 or layer.end_dim != -1:
            raise NoRule("there is no rule for flattening but all of a sample")

    def forward(self, taken: torch.Tensor) -> tuple[torch.Tensor, Any]:
        return self._flat(taken), taken.shape

    def inwards(self, memory: Any, slope: torch.Tensor) -> torch.Tensor:
        if len(memory) != IMAGES:
            return slope
        count, high, wide, channels = memory
        return slope.reshape(count, channels, high, wide).permute(0, 2, 3, 1).contiguous()

    def tangent(self, memory: Any, change: torch.Tensor | None, direction: Any) -> torch.Tensor | None:
        return None if change is None else self._flat(change)

    def _flat(self, taken: torch.Tensor) -> torch.Tensor:
        return taken.permute(0, 3, 1, 2).flatten(1) if taken.ndim == IMAGES else taken


class Standardising(Layer):
    """z = (a − mean) / deviation."""

    def __init__(self, layer: Standardise) -> None:
        self._mean, self._deviation = (
            part.permute(0, 2, 3, 1) if part.ndim == IMAGES else part for part in (layer.mean, layer.deviation)
        )

    def forward(self, taken: torch.Tensor) -> tuple[torch.Tensor, Any]:
        return (taken - self._mean).div_(self._deviation), None

    def inwards(self, memory: Any, slope: torch.Tensor) -> torch.Tensor:
        return slope / self._deviation

    def tangent(self, memory: Any, change: torch.Tensor | None, direction: Any) -> torch.Tensor | None:
        return None if change is None else change / self._deviation


def pair(value: int | tuple[int, ...]) -> list[int]:
    """One number for both axes, or one for each."""
    return [value, value] if isinstance(value, int) else list(value)
