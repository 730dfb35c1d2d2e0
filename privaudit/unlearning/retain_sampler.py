"""Retain samples for the steps of a method: an endless reshuffled stream, in proportion to the forget samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch


class RetainStream:
    """Rows of D_r without end: each pass in a new order, none twice before all came.

    Parameters
    ----------
    rows
        int64 rows of the pool.
    generator
        Where the order comes from.
    device
        Where rows are handed out.
    """

    def __init__(self, rows: npt.NDArray[np.int64], generator: torch.Generator, device: torch.device) -> None:
        self._rows = torch.from_numpy(rows)
        self._generator = generator
        self._device = device
        self._waiting = self._rows[:0]
        self._owed = 0.0

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, count: int) -> torch.Tensor:
        """The next ``count`` rows."""
        while len(self._waiting) < count:
            shuffled = self._rows[torch.randperm(len(self._rows), generator=self._generator)]
            self._waiting = torch.cat([self._waiting, shuffled])
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken.to(self._device, non_blocking=True)

    def take_share(self, exact: float) -> torch.Tensor:
        """The next ``exact`` rows on average: what a call falls short of a whole number, later ones make good."""
        self._owed += exact
        count = int(self._owed + 1e-9)
        self._owed -= count
        return self.take(count)


def share_of_batch(batch_size: int, ratio: float) -> int:
    """Forget samples in a batch that holds ``ratio`` retain samples for each of them; at least one."""
    return max(1, int(batch_size / (1 + ratio) + 1e-9))


def batches(rows: torch.Tensor, size: int) -> tuple[torch.Tensor, ...]:
    """Cut into the fewest parts of at most ``size``, nearly equal: a last one of one sample would break BatchNorm."""
    return rows.tensor_split(max(1, -(-len(rows) // size)))
