"""The sum of a batch's gradients, each clipped by itself: all that the noise is added to."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from privaudit.errors import UsageError
from privaudit.networks.build import Standardise
from privaudit.networks.classifier import Classifier
from privaudit.training.hardware import Hardware

#: Norms below this count as this: a gradient of zero is left as it is.
LEAST_NORM = 1e-12

#: Modules that treat each sample by itself, and have no parameters.
PLAIN = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.GELU, nn.Tanh, nn.Flatten)

#: Modules whose parameters' gradient follows, sample by sample, from what goes in and what comes back.
LAYERS = (nn.Linear, nn.Conv2d, nn.GroupNorm)


class ClippedSums(Protocol):
    """Computes the sum over samples of clipped gradients."""

    @property
    def most(self) -> Mapping[str, int]:
        """Samples that one call may take on a CPU, and on a GPU."""

    def __call__(self, inputs: torch.Tensor, labels: torch.Tensor, norm: float) -> tuple[list[torch.Tensor], float]:
        """Return one sum a trainable parameter, each sample's gradient clipped to ``norm``, and the sum of losses."""


def clipped_sums(model: nn.Module, hardware: Hardware) -> ClippedSums:
    """Return the faster way where the network is built of known layers alone, else the one that any network can go."""
    return OfLayers(model, hardware) if is_of_layers(model) else Vmapped(model, hardware)


def factors(squares: torch.Tensor, norm: float) -> torch.Tensor:
    """What each sample's gradient is multiplied by, ``[B]``, from the squares of the gradients' norms."""
    return (norm / squares.sqrt().clamp(min=LEAST_NORM)).clamp(max=1.0)


class Vmapped:
    """Every sample goes through the network by itself, in one vectorised pass.

    So nothing that the network does with a batch can let one sample into another's gradient.
    """

    @property
    def most(self) -> Mapping[str, int]:
        return {"cpu": 64, "cuda": 256}

    def __init__(self, model: nn.Module, hardware: Hardware) -> None:
        self._trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
        self._fixed = {name: one for name, one in model.named_parameters() if not one.requires_grad}
        self._hardware = hardware
        buffers = dict(model.named_buffers())

        def loss(trained: dict[str, torch.Tensor], sample: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            every = (trained | self._fixed, buffers)
            with hardware.autocast(), OneKindOfNumber():
                logits = torch.func.functional_call(model, every, (sample.unsqueeze(0),))
            return functional.cross_entropy(logits.float(), label.unsqueeze(0))

        self._gradients = torch.func.vmap(torch.func.grad_and_value(loss), (None, 0, 0), randomness="different")

    def __call__(self, inputs: torch.Tensor, labels: torch.Tensor, norm: float) -> tuple[list[torch.Tensor], float]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="There is a performance drop")
            weights = {name: one.detach() for name, one in self._trained.items()}
            try:
                found, losses = self._gradients(weights, inputs, labels)
            except RuntimeError as error:
                if self._hardware.precision == "fp32" or "expected scalar type" not in str(error):
                    raise
                raise UsageError(
                    f"the recipe dp-sgd can't train this network in {self._hardware.precision}, sample by sample: "
                    f"{str(error).splitlines()[0]}",
                    hint="Use --precision fp32, or modules of torch.nn in place of what mixes kinds of numbers.",
                ) from error
        gradients = [one.float() for one in found.values()]
        squares = torch.stack([one.flatten(1).square().sum(1) for one in gradients]).sum(0)
        scale = factors(squares, norm)
        return [torch.tensordot(scale, one, 1) for one in gradients], float(losses.sum())


class OneKindOfNumber(TorchFunctionMode):
    """Norms whose inputs come in bf16 get them in their weights' fp32, as autocast on a GPU does by itself.

    On a CPU they take both kinds at once, but not where samples are vectorised: the way back fails.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func in MIXED_NORMS:
            named.update(zip(MIXED_NORMS[func], args, strict=False))
            args, weight = (), named.get("weight")
            if weight is not None and weight.dtype != named["input"].dtype:
                named["input"] = named["input"].to(weight.dtype)
        return func(*args, **named)


#: Norms that may be given weights of another kind than their inputs, and the names of their arguments.
MIXED_NORMS: dict[Any, tuple[str, ...]] = {
    functional.layer_norm: ("input", "normalized_shape", "weight", "bias", "eps"),
    functional.instance_norm: (
        "input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps",
    ),
}  # fmt: skip


def is_of_layers(model: nn.Module) -> bool:
    """Whether the network is a sequence of modules that treat each sample by itself, each used once, all trained."""
    every = [module for _, module in model.named_modules(remove_duplicate=False)]
    if len(every) != len({id(module) for module in every}):
        return False
    owned = 0
    for module in every:
        if type(module) in LAYERS:
            if not _is_plain(module):
                return False
            owned += sum(1 for _ in module.parameters())
        elif type(module) is nn.ReLU:
            if module.inplace:
                return False
        elif type(module) not in (*PLAIN, nn.Sequential, Classifier, Standardise):
            return False
    parameters = list(model.parameters())
    return owned == len(parameters) and all(one.requires_grad for one in parameters)


def _is_plain(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        return module.groups == 1 and module.padding_mode == "zeros" and not isinstance(module.padding, str)
    return not isinstance(module, nn.GroupNorm) or module.affine


class OfLayers:
    """One pass forward and one back; of each layer what went in and what came back give every sample's gradient.

    A linear layer's is an outer product, whose norm is known without it.
    """

    @property
    def most(self) -> Mapping[str, int]:
        return {"cpu": 64, "cuda": 512}

    def __init__(self, model: nn.Module, hardware: Hardware) -> None:
        self._model = model
        self._hardware = hardware
        self._layers = [module for module in model.modules() if type(module) in LAYERS]
        # Sums are returned in the order of the model's parameters, which is that of its layers.
        self._order = [id(parameter) for parameter in model.parameters()]

    def __call__(self, inputs: torch.Tensor, labels: torch.Tensor, norm: float) -> tuple[list[torch.Tensor], float]:
        with _recorded(self._layers) as seen, self._hardware.autocast():
            losses = functional.cross_entropy(self._model(inputs).float(), labels, reduction="none")
        outputs = [seen[id(layer)][1] for layer in self._layers]
        returned = torch.autograd.grad(losses.sum(), outputs)
        parts = [
            _Gradients(layer, seen[id(layer)][0].detach().float(), back.float())
            for layer, back in zip(self._layers, returned, strict=True)
        ]
        squares = torch.stack([part.squares() for part in parts]).sum(0)
        scale = factors(squares, norm)
        sums = {name: total for part in parts for name, total in part.sums(scale)}
        return [sums[name] for name in self._order], float(losses.detach().sum())


@contextmanager
def _recorded(layers: list[nn.Module]) -> Iterator[dict[int, tuple[torch.Tensor, torch.Tensor]]]:
    """Keep each layer's input and output."""
    seen: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def keep(layer: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen[id(layer)] = (given[0], output)

    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


class _Gradients:
    """One layer's gradients of a batch, sample by sample, from its inputs and the gradients of its outputs."""

    def __init__(self, layer: Any, inputs: torch.Tensor, back: torch.Tensor) -> None:
        self._layer = layer
        self._inputs, self._back = inputs, back
        self._weights: torch.Tensor | None = None  # [B, …] of the weight; a linear layer's is never made
        if isinstance(layer, nn.Conv2d):
            patches = functional.unfold(inputs, layer.kernel_size, layer.dilation, _pair(layer.padding), layer.stride)
            self._weights = back.flatten(2) @ patches.transpose(1, 2)
            self._biases = back.flatten(2).sum(2)
        elif isinstance(layer, nn.GroupNorm):
            plain = functional.group_norm(inputs, layer.num_groups, eps=layer.eps)
            self._weights = (back * plain).flatten(2).sum(2)
            self._biases = back.flatten(2).sum(2)
        else:
            # Whatever lies between samples and features (positions, say) adds up within a sample's gradient.
            if inputs.ndim > 2:
                self._weights = back.flatten(1, -2).transpose(1, 2) @ inputs.flatten(1, -2)
            self._biases = back if inputs.ndim == 2 else back.flatten(1, -2).sum(1)

    def squares(self) -> torch.Tensor:
        """Squares of norms, ``[B]``."""
        of_biases = self._biases.square().sum(1)
        if self._weights is None:
            found = self._inputs.square().sum(1) * of_biases
        else:
            found = self._weights.flatten(1).square().sum(1)
        return found if self._layer.bias is None else found + of_biases

    def sums(self, scale: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield the weighted sum over samples of each parameter, by the parameter's identity."""
        layer = self._layer
        if self._weights is None:
            weight = (self._back * scale.unsqueeze(1)).T @ self._inputs
        else:
            weight = torch.tensordot(scale, self._weights, 1).view_as(layer.weight)
        yield id(layer.weight), weight
        if layer.bias is not None:
            yield id(layer.bias), scale @ self._biases


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
