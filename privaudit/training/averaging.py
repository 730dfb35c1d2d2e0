"""An average over the path that weights take, which follows ever more slowly and replaces them in the end."""

from __future__ import annotations

import torch
from torch import nn

#: Steps between two updates of the average.
EVERY = 5

#: What is kept of the average at an update, as a factor a step, towards the end of training.
KEPT = 0.95


class AverageWeights:
    """Lookahead's slow weights (Zhang et al. 2019) with the schedule of Jordan 2024.

    Every five steps the average moves towards the weights, and the weights onto the average; how much of the old
    average is kept rises from nothing to ``.95 ** 5`` with the cube of progress. BatchNorm's statistics go along.

    Parameters
    ----------
    model
        As it is before the first step.
    steps
        Steps of the whole training.
    """

    def __init__(self, model: nn.Module, steps: int) -> None:
        self._steps = steps
        self._model = model
        self._average = [tensor.clone() for tensor in self._weights()]

    def _weights(self) -> list[torch.Tensor]:
        return [tensor for tensor in self._model.state_dict().values() if tensor.is_floating_point()]

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Update after step ``step``, counted from 1; after the last one the weights are the average."""
        if step % EVERY and step != self._steps:
            return
        # At the very end nothing of the last steps enters that the average has not yet: it is what remains.
        kept = 1.0 if step == self._steps else KEPT**EVERY * (step / self._steps) ** 3
        weights = self._weights()
        torch._foreach_lerp_(self._average, weights, 1 - kept)
        torch._foreach_copy_(weights, self._average)
