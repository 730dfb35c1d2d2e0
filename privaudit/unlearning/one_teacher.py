"""One teacher for each forget sample, drawn together: as many of them are right as teachers are on average.

A retrained model is one model, so a sample is taught by one. Were each drawn by itself, how many of them are right
would be as much chance as if a coin were tossed for every sample on which models disagree; accuracy on D_u of one
retrained model and of another differs far less, for they have seen the same data.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from privaudit.runtime.seeds import generator

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


def drawn_together(share: npt.NDArray[np.float64], labels: IntArray, random: np.random.Generator) -> BoolArray:
    """Draw ``[n]``, each true with probability ``share``, so that of every run of samples about that many are.

    Systematic sampling: shares are laid end to end, by label and within a label by share, and a comb with teeth at
    distance 1 and a random offset is laid upon them. So of all samples the number is that which is expected, rounded up
    or down, and of the samples of each label it is within one of it.
    """
    order = np.lexsort((share, labels))
    # Sums of thirds are no whole numbers to the last bit.
    ends = np.round(np.cumsum(share[order]), 9) + random.random()
    starts = np.concatenate([[ends[0] - share[order][0]], ends[:-1]])
    found = np.zeros(len(share), np.bool_)
    found[order] = np.floor(ends) > np.floor(starts)
    return found


class OneTeacher:
    """Answers of one teacher a sample, chosen while one teacher after the other is asked.

    Parameters
    ----------
    labels
        int64 ``[n]`` of the samples, on the device of the answers.
    classes
        How many there are.
    """

    def __init__(self, labels: torch.Tensor, classes: int) -> None:
        count = len(labels)
        self._labels = labels
        self._random = generator(0, "one-teacher")
        self._fewest = np.full(count, np.iinfo(np.int64).max)
        # Of those who answer wrongly, and of those who answer rightly: how many, one of them, and what it says.
        self._equal = np.zeros((2, count), np.int64)
        self._who = np.zeros((2, count), np.int64)
        self._says = torch.zeros(2, count, classes, device=labels.device)

    def add(self, number: int, probability: torch.Tensor, speaks: BoolArray, burden: IntArray | None) -> None:
        """Take a teacher's answers ``[speaks.sum(), C]``; those with the smallest burden are in question alone."""
        where = torch.from_numpy(np.flatnonzero(speaks)).to(self._labels.device)
        right = np.zeros(len(speaks), np.bool_)
        right[speaks] = (probability.argmax(1) == self._labels[where]).cpu().numpy()
        if burden is not None:
            lighter = speaks & (burden < self._fewest)
            self._equal[:, lighter] = 0
            self._fewest[lighter] = burden[lighter]
            speaks_for = speaks & (burden == self._fewest)
        else:
            speaks_for = speaks
        chance = self._random.random(len(speaks))
        for side in (0, 1):
            of_side = speaks_for & (right == bool(side))
            self._equal[side] += of_side
            # Each has equal chances, however many there will be.
            kept = of_side & (chance * self._equal[side] < 1)
            self._who[side, kept] = number
            self._says[side, torch.from_numpy(np.flatnonzero(kept)).to(where.device)] = probability[
                torch.from_numpy(kept[speaks]).to(where.device)
            ].float()

    def chosen(self) -> tuple[IntArray, torch.Tensor]:
        """Return who teaches each sample, and what it says."""
        share = self._equal[1] / np.maximum(1, self._equal.sum(axis=0))
        right = drawn_together(share, self._labels.cpu().numpy(), self._random).astype(np.int64)
        rows = np.arange(len(right))
        device = self._labels.device
        says = self._says[torch.from_numpy(right).to(device), torch.from_numpy(rows).to(device)]
        return self._who[right, rows], says
