"""A whole model: inputs standardised, then the network, and of what it returns the logits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from privaudit.errors import UsageError

#: What networks call their logits where they return more than those, in order of preference.
LOGITS = ("logits", "out")

HOW_TO_RETURN = "Return the logits alone, one tensor [B, classes]."


class Classifier(nn.Sequential):
    """``standardise`` followed by ``network``, which may return its logits within something plain.

    Parameters
    ----------
    standardise, network
        The two layers.
    classes
        Number of logits C.
    """

    def __init__(self, standardise: nn.Module, network: nn.Module, classes: int) -> None:
        super().__init__(OrderedDict(standardise=standardise, network=network))
        self.classes = classes

    def returned(self, inputs: torch.Tensor) -> Any:
        """Return what the network does, whatever it is."""
        return super().forward(inputs)  # type: ignore[no-untyped-call]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits ``[B, C]``; `UsageError` where what the network returns leaves open which they are."""
        returned = self.returned(inputs)
        if isinstance(returned, torch.Tensor) and returned.ndim == 2:
            return returned
        return logits_in(returned, len(inputs), self.classes)[0]


def logits_in(returned: Any, batch: int, classes: int) -> tuple[torch.Tensor, str | None]:
    """Find the logits in what a network returned for a batch.

    They are the tensor itself, what is called ``logits`` (or ``out``) in a mapping or as an attribute, or the only
    tensor of the right shape in a mapping, tuple or list. Trailing dimensions of size 1 are dropped.

    Parameters
    ----------
    returned
        What the network returned.
    batch, classes
        B and C.

    Returns
    -------
    tuple
        Logits ``[B, C]``, and in words where they were, None where the network returned them alone.

    Raises
    ------
    UsageError
        Where nothing, or more than one thing, may be the logits.
    """
    if isinstance(returned, torch.Tensor):
        if not _fits(returned, batch, classes):
            raise UsageError(_wrong_shape(returned, batch, classes), hint=HOW_TO_RETURN)
        dropped = f"it returns {_shape(returned)}: the last 1s are dropped"
        return returned.flatten(1), None if returned.ndim == 2 else dropped
    kind = type(returned).__name__
    entries = dict(_entries(returned))
    for name in LOGITS:
        if isinstance(found := entries.get(name), torch.Tensor):
            if not _fits(found, batch, classes):
                raise UsageError(f"of its {kind} '{name}': {_wrong_shape(found, batch, classes)}", hint=HOW_TO_RETURN)
            return found.flatten(1), f"it returns a {kind}: its '{name}' is taken for the logits"
    tensors = {name: value for name, value in entries.items() if isinstance(value, torch.Tensor)}
    fitting = [name for name, value in tensors.items() if _fits(value, batch, classes)]
    if len(fitting) == 1:
        name = fitting[0]
        alone = f"it returns a {kind}: its entry {name}, alone of shape [B, {classes}], is taken"
        return tensors[name].flatten(1), alone
    if returned is None:
        raise UsageError("the network returns None: does its forward lack a return?", hint=HOW_TO_RETURN)
    which = f"entries {', '.join(fitting)} may each be the logits" if fitting else f"no entry of it is [B, {classes}]"
    raise UsageError(
        f"the network returns a {kind}: it must return one tensor of logits, and {which}", hint=HOW_TO_RETURN
    )


def _entries(returned: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(returned, Mapping):
        yield from ((str(name), value) for name, value in returned.items())
    elif isinstance(returned, tuple | list):
        names = getattr(returned, "_fields", None) or map(str, range(len(returned)))
        yield from zip(names, returned, strict=True)
    else:
        yield from ((name, getattr(returned, name)) for name in LOGITS if hasattr(returned, name))
        yield from ((name, value) for name, value in getattr(returned, "__dict__", {}).items() if name not in LOGITS)


def _fits(tensor: torch.Tensor, batch: int, classes: int) -> bool:
    return tensor.ndim >= 2 and tensor.shape[:2] == (batch, classes) and tensor.numel() == batch * classes


def _shape(tensor: torch.Tensor) -> str:
    return f"[{', '.join(map(str, tensor.shape))}]"


def _wrong_shape(tensor: torch.Tensor, batch: int, classes: int) -> str:
    said = f"the network returns logits {_shape(tensor)} for {batch} samples: they must be [B, {classes}]"
    if classes == 2 and tuple(tensor.shape) in ((batch,), (batch, 1)):
        said += "; one number for two classes leaves open what it means: end in nn.Linear(…, 2)"
    return said


def untied(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors, and a copy of each that shares memory with one before it: safetensors takes no others."""
    seen: set[tuple[torch.device, int]] = set()
    apart = {}
    for name, tensor in tensors.items():
        memory = (tensor.device, tensor.untyped_storage().data_ptr())
        apart[name] = tensor.clone() if memory in seen and tensor.numel() else tensor
        seen.add(memory)
    return apart
