"""What a network's first and last layer are, found by watching it work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from privaudit.errors import UsageError


@dataclass(frozen=True)
class Structure:
    """Names of the fully connected layers that give their input away.

    Parameters
    ----------
    last
        The layer whose output is the logits; None where there is none.
    first
        The layer, with a bias, whose input is the standardised image itself; None where there is none.
    """

    last: str | None
    first: str | None

    def has_features(self, model: nn.Module) -> bool:
        """Whether features can be read off the last layer's gradient: it needs a bias."""
        return self.last is not None and model.get_submodule(self.last).bias is not None

    def determines(self, model: nn.Module, numbers: int) -> bool:
        """Whether what is read off is at least as many numbers as an image has: fewer leave much of it open."""
        if self.first is not None:
            return True
        read = model.get_submodule(self.last) if self.last is not None and self.has_features(model) else None
        return isinstance(read, nn.Linear) and read.in_features >= numbers


def find_structure(model: nn.Module, example: torch.Tensor) -> Structure:
    """Run ``example`` ``[B, C, H, W]`` (images that differ) through a model in eval mode; watch its linear layers."""
    seen: list[tuple[str, torch.Tensor, torch.Tensor]] = []
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):

            def watch(_: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor, name: str = name) -> None:
                seen.append((name, inputs[0].detach(), output.detach().clone()))

            hooks.append(module.register_forward_hook(watch))
    try:
        with torch.no_grad():
            logits = model(example)
            first_input = model.get_submodule("standardise")(example) if hasattr(model, "standardise") else example
    finally:
        for hook in hooks:
            hook.remove()
    flat = first_input.flatten(1)
    used = [name for name, _, _ in seen]
    last = first = None
    for name, taken, given in seen:
        if taken.ndim != 2 or used.count(name) > 1:
            continue
        if given.shape == logits.shape and torch.equal(given, logits):
            last = name
        layer = model.get_submodule(name)
        if taken.shape == flat.shape and torch.equal(taken, flat) and layer.bias is not None:
            first = name
    return Structure(last, first)


#: Logits of one sample alone and in company may differ by this share of their size.
AGREEMENT = 1e-3


def check_invertible(model: nn.Module, example: torch.Tensor) -> None:
    """Raise `UsageError` unless single samples have gradients of their own that images can be sought by.

    Parameters
    ----------
    model
        In eval mode.
    example
        ``[B, C, H, W]``, at least two inputs that differ.
    """
    inputs = example.detach().requires_grad_()
    together = model(inputs)
    alone = model(inputs[:1])
    hint = "Leave inversion out with --invert 0."
    difference, size = (together[:1] - alone).detach(), alone.detach()
    if float(difference.square().sum().sqrt()) > AGREEMENT * float(size.square().sum().sqrt()) + 1e-6:
        raise UsageError(
            "what the network says of a sample depends on the batch it comes in, even in eval mode, so that a sample "
            "has no gradient of its own (BatchNorm with track_running_stats=False does that)",
            hint=f"Use running statistics or GroupNorm. {hint}",
        )
    slope = None
    if alone.requires_grad:
        (slope,) = torch.autograd.grad(alone.sum(), inputs, allow_unused=True)
    if slope is None:
        raise UsageError("the network's output can't be differentiated with respect to its input", hint=hint)
    leaf = example[:1].detach().requires_grad_()
    parameters = [parameter.requires_grad_() for parameter in model.parameters()]
    loss = torch.log_softmax(model(leaf), 1)[:, 0].sum()
    try:
        gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True, materialize_grads=True)
        torch.autograd.grad(torch.stack([gradient.square().sum() for gradient in gradients]).sum(), leaf)
    except RuntimeError as error:
        raise UsageError(
            f"the network's gradient can't be differentiated again: {str(error).splitlines()[0][:200]}", hint=hint
        ) from error
