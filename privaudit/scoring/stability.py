"""How far a ranking can be trusted: its two halves against each other, and one attack against another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.scoring.risk import attack_success, evidence, intrinsic_shift
from privaudit.seeds import generator
from privaudit.signals import signal
from privaudit.statistics.intervals import Correlation, FloatArray, spearman

#: How often the pairs are split in two at random, and the most samples that are ranked each time.
SPLITS = 10
MOST_SAMPLES = 5_000

#: The reliability that a ranking is said to need.
WANTED = 0.9


def halves_of(models: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None:
    """Two disjoint sets of complementary pairs, as masks ``[S]``; None where one of them could not run LiRA."""
    first = np.arange(models) // 2 % 2 == 0
    return None if min(first.sum(), (~first).sum()) < lira.FEWEST_MODELS else (first, ~first)


@dataclass(frozen=True)
class Stability:
    """How stable a ranking is: Spearman's ρ between halves, and what that means for the whole.

    Parameters
    ----------
    split_half
        Mean ρ between the rankings of two random halves of the shadow pairs.
    spread
        Its standard deviation over the splits.
    reliability
        Of all the shadow models together, by Spearman and Brown: 2ρ/(1 + ρ).
    models_needed
        Shadow models for a reliability of .9, by the same formula, an even number; None where ρ ≤ 0.
    """

    split_half: float
    spread: float
    reliability: float
    models_needed: int | None

    def to_json(self) -> dict[str, Any]:
        """As it stands in JSON results."""
        return {
            "split_half": self.split_half,
            "spread": self.spread,
            "reliability": self.reliability,
            "models_needed": self.models_needed,
        }


def ranking_stability(statistic: npt.NDArray[Any], keep: npt.NDArray[np.bool_], seed: int) -> Stability | None:
    """Split the complementary pairs in two, rank the samples by risk with either half, and compare.

    Parameters
    ----------
    statistic
        ``[S, N]`` or ``[S, N, Q]``.
    keep
        bool ``[S, N]``, complementary pairs.
    seed
        Chooses the splits and, of many samples, those that are ranked.

    Returns
    -------
    Stability or None
        None below 8 shadow models, or where a ranking is constant.
    """
    models, samples = keep.shape
    pairs = models // 2
    if halves_of(models) is None:
        return None
    found = []
    for split in range(SPLITS):
        random = generator(seed, "stability", split)
        rows = np.sort(random.permutation(samples)[:MOST_SAMPLES])
        order = random.permutation(pairs)
        risks = []
        for chosen in (order[: pairs // 2], order[pairs // 2 :]):
            members = (2 * np.sort(chosen)[:, np.newaxis] + [0, 1]).ravel()
            part, side = statistic[members][:, rows], keep[members][:, rows]
            ratio = lira.online(part, side)
            risks.append(ranking(ratio, side))
        found.append(spearman(risks[0], risks[1]).spearman)
    values = np.array([value for value in found if value is not None])
    if len(values) < SPLITS:
        return None
    half = float(values.mean())
    whole = 2 * half / (1 + half)
    needed = None
    if half > 0:
        exact = models * WANTED * (1 - whole) / (whole * (1 - WANTED))
        needed = max(2, 2 * int(np.ceil(exact / 2)))
    return Stability(half, float(values.std(ddof=1)), whole, needed)


def ranking(ratio: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Position by risk, ties by evidence: the order of the score table."""
    order = np.lexsort((evidence(ratio, keep), attack_success(ratio, keep)))
    position = np.empty(len(order))
    position[order] = np.arange(len(order))
    return position


def intrinsic_relation(
    shadow_signals: npt.NDArray[Any], keep: npt.NDArray[np.bool_], statistic: str = "margin"
) -> Correlation | None:
    """Risk (by ``statistic``) against intrinsic shift (of the margin), each from its own half of the pairs.

    So the relation is not built in. The correlation is the mean of the two ways to assign the halves; the interval is
    that of the first, moved to the mean. None below 8 models.
    """
    halves = halves_of(len(keep))
    if halves is None:
        return None
    attacked, margin = signal(shadow_signals, statistic), signal(shadow_signals[:, :, 0], "margin")
    found = []
    for risk_half, shift_half in (halves, halves[::-1]):
        risk = attack_success(lira.online(attacked[risk_half], keep[risk_half]), keep[risk_half])
        found.append(spearman(risk, intrinsic_shift(margin[shift_half], keep[shift_half])))
    first, second = found
    if first.spearman is None or second.spearman is None or first.interval is None:
        return first
    mean = (first.spearman + second.spearman) / 2
    move = mean - first.spearman
    low, high = (max(-1.0, min(1.0, bound + move)) for bound in first.interval)
    return Correlation(mean, (low, high), first.samples)
