"""Gradients that were chosen for an attacker who reads every step of DP-SGD (Nasr et al. 2023).

Each canary has one number of the network's to itself: its gradient is zero everywhere else, and where it is not, larger
than the clipping norm. It is drawn, clipped and added as a sample's is. Whoever knows all samples, and which of them a
step drew, takes their part off what the step did to the weights; what is left of a canary's number is noise and the
canary. To know that much leaves the promise as it is: samples are drawn independently of each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.training.private import clipped_sums

#: Norm of a canary's gradient before it is clipped, in clipping norms.
NORM = 10.0


class CanaryGradients:
    """Canaries of one training, and what is read of each step.

    Parameters
    ----------
    numbers
        int64 ``[m]``, all different: which of the trained numbers is each canary's, counted through all parameters.
    inside
        bool ``[m]``: who is in.
    """

    def __init__(self, numbers: npt.NDArray[np.int64], inside: npt.NDArray[np.bool_]) -> None:
        self._numbers = numbers
        self._inside = torch.from_numpy(np.flatnonzero(inside))
        self._read: list[torch.Tensor] = []
        self._places: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __len__(self) -> int:
        """How many are in, and so may be drawn."""
        return len(self._inside)

    def add(
        self, sums: Sequence[torch.Tensor] | None, trained: Sequence[nn.Parameter], drawn: torch.Tensor, norm: float
    ) -> list[torch.Tensor] | None:
        """Return the sum of a step's clipped gradients with those of canaries, int64 positions among those inside."""
        if not len(drawn):
            return None if sums is None else list(sums)
        places = self._located(trained)
        squares = torch.full((1,), (NORM * norm) ** 2)
        size = float(NORM * norm * clipped_sums.factors(squares, norm))
        is_drawn = torch.zeros(len(self._numbers), dtype=torch.bool)
        is_drawn[self._inside[drawn]] = True
        found = []
        for index, (whose, where) in enumerate(places):
            total = torch.zeros(trained[index].shape, device=where.device)
            total.view(-1)[where[is_drawn[whose].to(where.device)]] = size
            found.append(total if sums is None else sums[index] + total)
        return found

    def read(
        self,
        gradients: Sequence[torch.Tensor],
        sums: Sequence[torch.Tensor] | None,
        trained: Sequence[nn.Parameter],
        expected: float,
    ) -> None:
        """Keep what a step did to each canary's number, less the samples' part, as a part of the sum.

        Parameters
        ----------
        gradients
            What the step goes by.
        sums
            The sum of the samples' clipped gradients.
        trained
            The parameters.
        expected
            What a sum is divided by.
        """
        left = torch.empty(len(self._numbers))
        for index, (whose, where) in enumerate(self._located(trained)):
            values = gradients[index].reshape(-1)[where] * expected
            if sums is not None:
                values = values - sums[index].reshape(-1)[where]
            left[whose] = values.detach().float().cpu()
        self._read.append(left)

    def observed(self) -> npt.NDArray[np.float32]:
        """What was read, ``[steps, m]``."""
        read: npt.NDArray[np.float32] = torch.stack(self._read).numpy()
        return read

    def _located(self, trained: Sequence[nn.Parameter]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Of each parameter, which canaries have a number there, and which one."""
        if not self._places:
            first = 0
            for parameter in trained:
                whose = np.flatnonzero((self._numbers >= first) & (self._numbers < first + parameter.numel()))
                where = torch.from_numpy(self._numbers[whose] - first).to(parameter.device)
                self._places.append((torch.from_numpy(whose), where))
                first += parameter.numel()
        return self._places
