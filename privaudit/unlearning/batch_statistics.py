"""Training mode without the side effect: batch statistics of D_u must not enter the model."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def train_frozen(model: nn.Module) -> None:
    """Put the model into training mode (dropout and all), but let BatchNorm use its statistics and not change them."""
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
