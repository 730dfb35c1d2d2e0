"""Gradient matching on a sequence of layers, with the derivative of the cost by the image written down.

The cost of an image x whose gradient is g = ∇θ L(x), where b was seen, is 1 − ⟨g, b⟩/(‖g‖‖b‖). With ρ = ⟨g, b⟩/‖g‖²,

    ∂cost/∂x = −1/(‖g‖‖b‖) Jᵀv,   J = ∂g/∂x,   v = b − ρ g

where v is at a right angle to g. Since second derivatives commute, Jᵀv = ∂/∂x ⟨∇θ L, v⟩ = d/dε ∂/∂x L(x, θ + ε v) at
ε = 0: an ordinary backward pass under Pearlmutter's (1994) operator d/dε, here a dot.

    forward    a₀ = x,  aₖ = fₖ(aₖ₋₁, θₖ)                   backward   δₖ₋₁ = (∂fₖ/∂a)ᵀ δₖ,  gₖ = (∂fₖ/∂θ)ᵀ δₖ
    tangent    ȧ₀ = 0,  ȧₖ = (∂fₖ/∂a) ȧₖ₋₁ + (∂fₖ/∂θ) vₖ    adjoint    δ̇ₖ₋₁ = (∂fₖ/∂a)ᵀ δ̇ₖ + ((∂fₖ/∂a)ᵀ)˙ δₖ

At the logits δ = s p − y and δ̇ = s p (ȧ − ⟨p, ȧ⟩) entry by entry, with p = softmax and s = Σy (1 for a distribution);
and Jᵀv = δ̇₀. All samples share θ: only products with g and v are per sample. A convolution costs seven products, on an
input that is unfolded once; what a fully connected layer gives is never written out. Autograd through `torch.func.vmap`
arrives at the same numbers by more products, and copies between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from privaudit.inversion.gradient_engines.convolutions import convolution
from privaudit.inversion.gradient_engines.layers import (
    IMAGES,
    Activation,
    Averaging,
    Flattening,
    FullyConnected,
    Layer,
    MaxPooling,
    NoRule,
    Parametric,
    Standardising,
)
from privaudit.inversion.gradient_engines.sample_gradients import LEAST_NORM, Gradients, Vmapped
from privaudit.networks.build import Standardise
from privaudit.networks.classifier import Classifier

#: By exact type: a subclass may do anything.
RULES: dict[type[nn.Module], Callable[[Any], Layer]] = {
    nn.Conv2d: convolution,
    nn.Linear: FullyConnected,
    nn.ReLU: Activation,
    nn.Sigmoid: Activation,
    nn.Tanh: Activation,
    nn.MaxPool2d: MaxPooling,
    nn.AvgPool2d: Averaging,
    nn.AdaptiveAvgPool2d: Averaging,
    nn.Flatten: Flattening,
    nn.Identity: Layer,
    nn.Dropout: Layer,
    Standardise: Standardising,
}

#: Squares of norms below this count as this: the least that fp32 has.
LEAST_SQUARE = 1.2e-38


def layers_of(model: nn.Module) -> list[Layer]:
    """The layers of a model in eval mode, in order.

    Raises
    ------
    NoRule
        If it is not a plain sequence of layers that there is a rule for.
    """
    if model._forward_hooks or model._forward_pre_hooks:
        raise NoRule("a layer has hooks")
    # Only a layer without a rule returns a dict or a tuple, so that here a whole model is a sequence too.
    if not isinstance(model, nn.Sequential) or type(model) not in (nn.Sequential, Classifier):
        if type(model) not in RULES:
            raise NoRule(f"there is no rule for {type(model).__name__}")
        return [RULES[type(model)](model)]
    layers = [layer for part in model for layer in layers_of(part)]
    if len(list(model.parameters())) != sum(layer.parameters for layer in layers):
        raise NoRule("layers share parameters")
    return layers


class Layerwise(Vmapped):
    """Matches by the passes above, with all samples of a batch at once; single gradients are vmapped."""

    def __init__(self, model: nn.Module, most: int = 64) -> None:
        super().__init__(model, most)
        self._layers = layers_of(model)

    def prepared(self, seen: Gradients) -> list[Gradients]:
        """Gradients that were seen, by layer and as `match` takes them."""
        parts, taken = [], 0
        for layer in self._layers:
            own = seen[taken : taken + layer.parameters]
            parts.append(layer.prepared(own) if isinstance(layer, Parametric) else own)
            taken += layer.parameters
        return parts

    @torch.no_grad()
    def match(
        self, inputs: torch.Tensor, labels: torch.Tensor, seen: list[Gradients], size: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """1 − cosine, ``[B]``, and its derivative by the inputs.

        Parameters
        ----------
        inputs, labels
            ``[B, C, H, W]`` and ``[B, K]`` (distributions).
        seen, size
            What was seen, prepared, and its norm ``[B]``.
        """
        image = inputs.ndim == IMAGES
        value, memories = inputs.permute(0, 2, 3, 1) if image else inputs, []
        for layer in self._layers:
            value, memory = layer.forward(value)
            memories.append(memory)
        share, total = value.softmax(1), labels.sum(1, keepdim=True)

        slopes, gradients, product, square = self._backward(memories, total * share - labels, seen)
        square = square.clamp_min(LEAST_SQUARE)

        directions: list[Any] = [None] * len(memories)
        changes: list[torch.Tensor | None] = [None]
        for place, layer in enumerate(self._layers):
            if isinstance(layer, Parametric):
                directions[place] = layer.direction(gradients[place], seen[place], product / square)
            changes.append(layer.tangent(memories[place], changes[place], directions[place]))
        change = changes[-1]
        assert change is not None  # noqa: S101 - the logits move: some layer has parameters
        turn = total * share * (change - (share * change).sum(1, keepdim=True))
        for place in range(len(memories) - 1, -1, -1):
            turn = self._layers[place].adjoint(memories[place], slopes[place], turn, changes[place], directions[place])

        if image:
            turn = turn.permute(0, 3, 1, 2)
        own, other, each = square.sqrt(), size.clamp_min(LEAST_NORM), (-1, *([1] * (turn.ndim - 1)))
        return 1 - product / own / other, -turn / own.reshape(each) / other.reshape(each)

    def _backward(
        self, memories: list[Any], slope: torch.Tensor, seen: list[Gradients]
    ) -> tuple[list[torch.Tensor | None], list[Any], torch.Tensor, torch.Tensor]:
        """The slopes δ, gradients g in the layers' own forms, ⟨g, b⟩ and ‖g‖²."""
        # Below the first layer with parameters no slope is needed.
        first = next(place for place, layer in enumerate(self._layers) if layer.parameters)
        slopes: list[torch.Tensor | None] = [None] * len(memories)
        gradients: list[Any] = [None] * len(memories)
        product = square = slope.new_zeros(len(slope))
        for place in range(len(memories) - 1, first - 1, -1):
            layer, slopes[place] = self._layers[place], slope
            if isinstance(layer, Parametric):
                gradients[place], along, own = layer.gradient(memories[place], slope, seen[place])
                product, square = product + along, square + own
            if place > first:
                slope = layer.inwards(memories[place], slope)
        return slopes, gradients, product, square
