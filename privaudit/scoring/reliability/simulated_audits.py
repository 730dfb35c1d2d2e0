"""Simulated audits of samples whose leak is known: what the share of right verdicts would be, were models drawn anew.

Verdicts on one sample are no independent trials: each is given by a fit to all the other models, so that where the two
fitted Gaussians lie the wrong way round by chance, most verdicts are wrong together. How the share of right verdicts
then varies depends on the sample's separation, on the number of models and on how a pair's two models go together, and
on little else. So it is simulated, through the attack itself: Gaussian statistics of complementary pairs, samples of
every separation. Intervals of risk, chance levels and the forecast of a ranking's reliability all read these tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from privaudit.attacks import lira
from privaudit.attacks.risk import attack_success, evidence
from privaudit.runtime.seeds import generator
from privaudit.statistics.intervals import FloatArray

#: Separations of the simulated samples, in standard deviations of either side: from no leak to a certain one.
SEPARATIONS: tuple[float, ...] = (*np.linspace(0, 2.75, 12).tolist(), *np.linspace(3, 6, 7).tolist(), 7.0, 8.0)

#: Cells (model × simulated sample) of one table, and the least and the most samples of one separation.
CELLS = 5_000_000
FEWEST_DRAWS, MOST_DRAWS = 400, 4_000

#: Simulated samples without a leak that a chance level is read from.
CHANCE_DRAWS = 40_000

#: Correlations of a pair are rounded to steps of this: a table each.
STEP = 0.05


@dataclass(frozen=True)
class Redrawn:
    """Simulated samples under so many models, a row a separation.

    Parameters
    ----------
    asr
        Share of right verdicts, ``[D, draws]``.
    place
        ``[D, draws]``: 0 … D·draws − 1, each sample's place in the ranking of all of them by risk, ties by evidence.
    """

    asr: FloatArray
    place: npt.NDArray[np.int64]


def pair_correlation(
    statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_], partners: npt.NDArray[np.int64] | None = None
) -> float:
    """Return how far a pair's two models go together beyond their membership: the mean over samples, −1 … 1.

    Parameters
    ----------
    statistic, keep
        ``[S, N]``.
    partners
        ``[S]``: each model's complement, by default the neighbours of a paired design. A partner drawn for every
        cell, ``[S, N]``, is no complement: 0.
    """
    if partners is None:
        partners = lira.complements(len(keep))
    if partners.ndim != 1:
        return 0.0
    sums = np.zeros((5, keep.shape[1]))
    pairs = [model for model in range(len(keep)) if model < partners[model]]
    for model in pairs:
        first, second = np.asarray(statistic[model], np.float64), np.asarray(statistic[partners[model]], np.float64)
        inside, outside = np.where(keep[model], first, second), np.where(keep[model], second, first)
        sums += [inside, outside, inside**2, outside**2, inside * outside]
    inside, outside, inside_squared, outside_squared, both = sums / max(1, len(pairs))
    spread = np.sqrt(np.maximum(inside_squared - inside**2, 0) * np.maximum(outside_squared - outside**2, 0))
    varies = spread > 1e-9 * np.maximum(np.sqrt(inside_squared * outside_squared), 1e-300)
    if not varies.any():
        return 0.0
    mean = float(np.clip((both - inside * outside)[varies] / spread[varies], -1, 1).mean())
    # A correlation of n pairs reads too near 0, by this factor (Hotelling 1953): by a third where there are 2.
    count = max(2, len(pairs))
    shrunk = 2 / (count - 1) * float(np.exp(2 * (special.gammaln(count / 2) - special.gammaln((count - 1) / 2))))
    return float(np.clip(mean / shrunk, -1, 1))


def steps_of(correlation: float) -> int:
    """Return a pair's correlation in steps of `STEP`, at most 0: positive ones make verdicts depend less."""
    return max(round(min(0.0, correlation) / STEP), -round(0.95 / STEP))


def chance_of(models: int, share: float, correlation: float = 0.0) -> float:
    """Return how often a sample that leaks nothing is told right in at least this share of so many models."""
    return float((_without_leak(models // 2 * 2, steps_of(correlation)) >= share - 1e-9).mean())


@lru_cache(maxsize=64)
def redrawn(models: int, steps: int) -> Redrawn:
    """Return simulated samples of every separation under an even number of models; see `steps_of`."""
    draws = int(np.clip(CELLS // (models * len(SEPARATIONS)), FEWEST_DRAWS, MOST_DRAWS))
    ratio, keep = _simulated(models, steps, np.repeat(SEPARATIONS, draws))
    asr = attack_success(ratio, keep)
    place = np.empty(len(asr), np.int64)
    place[np.lexsort((evidence(ratio, keep), asr))] = np.arange(len(asr))
    shape = (len(SEPARATIONS), draws)
    return Redrawn(asr.reshape(shape), place.reshape(shape))


@lru_cache(maxsize=64)
def _without_leak(models: int, steps: int) -> FloatArray:
    draws = int(np.clip(CELLS // models, FEWEST_DRAWS, CHANCE_DRAWS))
    return attack_success(*_simulated(models, steps, np.zeros(draws)))


def _simulated(models: int, steps: int, separation: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """LiRA's ratio ``[S, n]`` of samples of these separations, and who saw what."""
    random = generator(0, "redrawn audits", models)
    first, second = random.normal(size=(2, models // 2, len(separation)))
    correlation = steps * STEP
    statistic = np.empty((models, len(separation)))
    statistic[0::2] = separation + first
    statistic[1::2] = correlation * first + np.sqrt(1 - correlation**2) * second
    keep = np.zeros(statistic.shape, np.bool_)
    keep[0::2] = True
    return np.asarray(lira.online(statistic, keep), np.float64), keep
