"""The gradient that one sample gives, for many samples at once: vmapped, or looped where that is faster."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional

#: One tensor a parameter, ``[B, P]`` each, in the order of the network's parameters.
Gradients = tuple[torch.Tensor, ...]

#: Norms below this count as this: the cosine with a gradient of zero is zero.
LEAST_NORM = 1e-30


def soft_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with a distribution over classes, ``[B]``."""
    return -(labels * functional.log_softmax(logits, dim=-1)).sum(-1)


class GradientEngine(Protocol):
    """Computes per-sample gradients in eval mode; differentiable with respect to inputs and labels."""

    #: Samples that one call may take.
    most: int

    def __call__(self, inputs: torch.Tensor, labels: torch.Tensor) -> Gradients:
        """Gradients ``[B, P]`` of the loss of inputs ``[B, C, H, W]`` with labels ``[B, K]`` (distributions)."""


class Vmapped:
    """All samples of a batch in one vectorised pass: `torch.func.vmap` over `torch.func.grad`."""

    def __init__(self, model: nn.Module, most: int = 64) -> None:
        self.most = most
        parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
        buffers = dict(model.named_buffers())

        def loss(parameters: dict[str, torch.Tensor], sample: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            logits = torch.func.functional_call(model, (parameters, buffers), (sample.unsqueeze(0),))
            return soft_cross_entropy(logits, label.unsqueeze(0)).squeeze(0)

        self._parameters = parameters
        self._gradient: Callable[..., dict[str, torch.Tensor]] = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))

    def __call__(self, inputs: torch.Tensor, labels: torch.Tensor) -> Gradients:
        with warnings.catch_warnings():
            # Some operators are looped over inside. Whether that is too slow is what the calibration tells.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            found = self._gradient(self._parameters, inputs, labels)
        return tuple(gradient.flatten(1) for gradient in found.values())


class Looped:
    """One sample after the other, by plain autograd: faster where one sample keeps the machine busy by itself."""

    most = 1

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._parameters = list(model.parameters())

    def __call__(self, inputs: torch.Tensor, labels: torch.Tensor) -> Gradients:
        differentiable = inputs.requires_grad or labels.requires_grad
        rows = []
        for sample, label in zip(inputs.split(1), labels.split(1), strict=True):
            loss = soft_cross_entropy(self._model(sample), label).sum()
            found = torch.autograd.grad(
                loss, self._parameters, create_graph=differentiable, allow_unused=True, materialize_grads=True
            )
            rows.append([gradient.reshape(1, -1) for gradient in found])
        # One row is handed on as it is: a copy of millions of derivatives would cost more than some layers.
        return tuple(rows[0]) if len(rows) == 1 else tuple(torch.cat(column) for column in zip(*rows, strict=True))


def norms(gradients: Gradients) -> torch.Tensor:
    """L2 norm over all parameters, ``[B]``."""
    squares = [torch.linalg.vector_norm(part, dim=1).square() for part in gradients]
    return torch.stack(squares).sum(0).sqrt()


def observe(
    engine: GradientEngine,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    *,
    clip: float | None = None,
    noise: float = 0.0,
    seeds: list[int] | None = None,
) -> Gradients:
    """The gradients that an attacker sees: those of fp32 training, clipped and with noise where a defence does so.

    Parameters
    ----------
    engine
        Of the attacked model.
    inputs, labels
        ``[n, C, H, W]`` and ``[n, K]``.
    clip
        Scale each gradient down to at most this norm.
    noise
        Standard deviation of the Gaussian noise added to every coordinate, after clipping.
    seeds
        One a sample, for its noise: restarts of one sample see the same noisy gradient.
    """
    parts = [
        tuple(part.detach() for part in engine(some, their))
        for some, their in zip(inputs.split(engine.most), labels.split(engine.most), strict=True)
    ]
    seen = tuple(torch.cat(column) for column in zip(*parts, strict=True))
    if clip is not None:
        factor = (clip / norms(seen).clamp_min(1e-30)).clamp_max(1.0).unsqueeze(1)
        seen = tuple(part * factor for part in seen)
    if noise > 0 and seeds is not None:
        drawn: list[list[torch.Tensor]] = []
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            drawn.append([torch.randn(part.shape[1], generator=generator) for part in seen])
        seen = tuple(
            part + noise * torch.stack(column).to(part.device)
            for part, column in zip(seen, zip(*drawn, strict=True), strict=True)
        )
    return seen


def named(model: nn.Module, gradients: Gradients) -> dict[str, torch.Tensor]:
    """The gradients by parameter name, in the parameters' shapes ``[B, …]``."""
    shapes: list[tuple[str, Any]] = [(name, parameter.shape) for name, parameter in model.named_parameters()]
    return {name: part.reshape(-1, *shape) for (name, shape), part in zip(shapes, gradients, strict=True)}
