"""Which engine runs searches: by layers where there is a rule for each, vmapped, or looped where that is faster."""

from __future__ import annotations

from typing import Literal

from torch import nn

from privaudit.inversion.gradient_engines.layerwise import Layerwise
from privaudit.inversion.gradient_engines.sample_gradients import GradientEngine, Looped, Vmapped

Kind = Literal["looped", "vmapped", "layerwise"]


def make_engine(kind: Kind, model: nn.Module, most: int) -> GradientEngine:
    """The engine of that kind for a model in eval mode, whose parameters become differentiable leaves.

    Raises
    ------
    NoRule
        If it is to be ``"layerwise"`` and the model is no plain sequence of layers that there are rules for.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(kind == "looped")
    if kind == "looped":
        return Looped(model)
    return Layerwise(model, most) if kind == "layerwise" else Vmapped(model, most)
