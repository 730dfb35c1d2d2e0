"""A paired bootstrap over samples of ToW, the tug of war: how much of a difference is who happened to be asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privaudit.evaluation.measures.utility import PARTS
from privaudit.runtime.seeds import generator
from privaudit.statistics.intervals import Interval

DRAWS = 1_000
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """A ToW, and its value in every draw of samples."""

    value: float
    draws: Shares

    def less(self, other: Drawn) -> Interval:
        """The 95% interval of this one less the other, in the same draws."""
        low, high = np.quantile(self.draws - other.draws, (0.025, 0.975))
        return float(low), float(high)


@dataclass(frozen=True)
class Resampled:
    """Shares of right answers of models, as measured and in `DRAWS` draws of samples; model 0 is the reference.

    Parameters
    ----------
    shares
        By part, ``[1 + DRAWS, models]``: the first row is as measured.
    disagreement
        By part: how often two models like the reference differ on a sample, were their errors independent.
    sizes
        Samples by part.
    """

    shares: Mapping[str, Shares]
    disagreement: Mapping[str, Shares]
    sizes: Mapping[str, int]

    @classmethod
    def of(
        cls, right: Mapping[str, Sequence[npt.NDArray[np.generic]]], *, lift: float = 0.0, seed: int = 0
    ) -> Resampled:
        """Draw samples with replacement, the same ones for all models.

        Parameters
        ----------
        right
            By part, ``[n]`` of each model: right answers, or the probability of one.
        lift
            Added to the reference's share of right answers on D_u.
        seed
            Of the draws.
        """
        shares, disagreement, sizes = {}, {}, {}
        for part in PARTS:
            answers = np.stack([np.asarray(one, np.float64) for one in right[part]])
            # Samples that all models answer alike are exchangeable: their numbers are drawn, not they themselves.
            kinds, counts = np.unique(answers, axis=1, return_counts=True)
            sizes[part] = size = int(counts.sum())
            drawn = generator(seed, "outcome", part).multinomial(size, counts / size, size=DRAWS)
            weights = np.concatenate([counts[np.newaxis], drawn]) / size
            found = weights @ kinds.T
            spread = weights @ (2 * kinds[0] * (1 - kinds[0]))
            if part == "forget":
                found[:, 0] = np.clip(found[:, 0] + lift, 0, 1)
            if set(np.unique(kinds[0])) <= {0.0, 1.0}:
                # One model's answers: what is known of two like it is their accuracy, at most.
                spread = 2 * found[:, 0] * (1 - found[:, 0])
            shares[part], disagreement[part] = found, spread
        return cls(shares, disagreement, sizes)

    def tow(self, model: int) -> Drawn:
        """ToW of a model against the reference (eq. 2)."""
        product = np.ones(1 + DRAWS)
        for part in PARTS:
            product *= 1 - np.abs(self.shares[part][:, model] - self.shares[part][:, 0])
        return Drawn(float(product[0]), product[1:])

    def by_chance(self) -> Drawn:
        """ToW that a model like the reference is expected to have, were the errors of the two independent.

        The difference of two accuracies over n samples has the variance q / n, q being how often the two differ, and
        so a mean size of √(2 q / π n).
        """
        product = np.ones(1 + DRAWS)
        for part in PARTS:
            product *= 1 - np.sqrt(2 * self.disagreement[part] / (math.pi * self.sizes[part]))
        return Drawn(float(product[0]), product[1:])
