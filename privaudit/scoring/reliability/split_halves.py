"""The shadow models in two halves, each attacked on its own: whom one half picks, the other judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.attacks.risk import attack_success, evidence, intrinsic_shift
from privaudit.results.measures import Correlation
from privaudit.statistics.intervals import FloatArray, spearman


def halves_of(models: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None:
    """Return two disjoint sets of complementary pairs, as masks ``[S]``; None where one of them could not run LiRA."""
    first = np.arange(models) // 2 % 2 == 0
    return None if min(first.sum(), (~first).sum()) < lira.FEWEST_MODELS else (first, ~first)


@dataclass(frozen=True)
class Half:
    """LiRA among one half of the shadow models.

    Parameters
    ----------
    models
        Mask ``[S]`` of whole pairs.
    statistic, keep
        Of these models, ``[H, N]`` (or ``[H, N, Q]``) and bool ``[H, N]``.
    ratio
        LiRA's, ``[H, N]``: fitted to these models alone.
    asr
        ``[N]`` by these models.
    """

    models: npt.NDArray[np.bool_]
    statistic: npt.NDArray[Any]
    keep: npt.NDArray[np.bool_]
    ratio: FloatArray
    asr: FloatArray

    def ranking(self) -> FloatArray:
        """Return each sample's place by risk under this half, the most exposed last, ``[N]``."""
        return ranking(self.ratio, self.keep)


def attack_halves(statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> tuple[Half, Half] | None:
    """Return both halves of the pairs, each attacked on its own; None below 8 models.

    Parameters
    ----------
    statistic
        ``[S, N]`` or ``[S, N, Q]``.
    keep
        bool ``[S, N]``, complementary pairs.
    """
    halves = halves_of(len(keep))
    if halves is None:
        return None
    found = []
    for chosen in halves:
        part, side = statistic[chosen], keep[chosen]
        ratio = np.asarray(lira.online(part, side), np.float64)
        found.append(Half(chosen, part, side, ratio, attack_success(ratio, side)))
    return found[0], found[1]


def ranking(ratio: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Return each sample's position by risk, ties by evidence: the order of the score table."""
    order = np.lexsort((evidence(ratio, keep), attack_success(ratio, keep)))
    position = np.empty(len(order))
    position[order] = np.arange(len(order))
    return position


def intrinsic_relation(halves: tuple[Half, Half], shifts: tuple[FloatArray, FloatArray]) -> Correlation:
    """Relate risk to intrinsic shift, each from its own half of the pairs.

    So the relation is not built in. The correlation is the mean of the two ways to assign the halves; the interval is
    that of the first, moved to the mean.

    Parameters
    ----------
    halves
        Both halves, attacked.
    shifts
        The intrinsic shift by either half, ``[N]`` each: see `shifts_of`.
    """
    first, second = (spearman(half.asr, shift) for half, shift in zip(halves, shifts[::-1], strict=True))
    if first.spearman is None or second.spearman is None or first.ci is None:
        return first
    mean = (first.spearman + second.spearman) / 2
    move = mean - first.spearman
    low, high = (max(-1.0, min(1.0, bound + move)) for bound in first.ci)
    return Correlation(spearman=mean, ci=(low, high), n=first.n)


def shifts_of(halves: tuple[Half, Half], margin: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Return the intrinsic shift of a margin ``[S, N]`` by either half of the models, ``[N]`` each."""
    first, second = (intrinsic_shift(margin[half.models], half.keep) for half in halves)
    return first, second
