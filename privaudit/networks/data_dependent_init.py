"""Networks that look at their training inputs, without labels, before the first step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    import torch


class AdaptsToInputs(nn.Module, ABC):
    """A network with a part that is computed from the inputs it will be trained on.

    The training loop calls `adapt` once, before the first step, with inputs of the model's own members and of nobody
    else: a shadow model that took anything from a sample that it is meant never to have seen would be no OUT model.
    """

    @abstractmethod
    def adapt(self, inputs: torch.Tensor) -> None:
        """Set that part from standardised inputs ``[B, C, H, W]`` of training samples."""

    @abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """Prepare for epoch ``epoch``, counted from 0; -1 after the last one."""
