"""Controls: audits whose answer is known. An attack is believed only where they read as they must."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.results.audit.controls import NegativeControl, PositiveControl
from privaudit.results.measures import Interval
from privaudit.runtime.seeds import generator
from privaudit.shadow.design import paired_design
from privaudit.signals import signal
from privaudit.statistics.intervals import FEWEST_PAIRS, FloatArray, logit_interval
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import performance
from privaudit.statistics.roc import auc

#: How often made-up membership is redrawn.
REDRAWS = 200

#: The most never-trained samples used in one redraw.
MOST_SAMPLES = 2_000

#: A negative control fails beyond the larger of this and four standard errors.
TOLERANCE = 0.005


def negative_control(area: float, ci: Interval | None, error: float) -> NegativeControl:
    """Return a negative control with its verdict: it holds where |AUC − ½| is within max(.005, 4 SE)."""
    holds = abs(area - 0.5) <= max(TOLERANCE, 4 * error)
    return NegativeControl(auc=area, ci=ci, standard_error=error, holds=holds)


def never_trained(test_signals: npt.NDArray[Any], seed: int) -> NegativeControl:
    """LiRA on samples that no model saw, with made-up membership, redrawn 200 times.

    Parameters
    ----------
    test_signals
        ``[S, M, Q, K]``.
    seed
        The audit's seed.

    Returns
    -------
    NegativeControl
        Mean AUC over the redraws; its interval covers the mean (±1.96 SE).
    """
    models, samples = test_signals.shape[:2]
    margins = signal(test_signals, "margin")
    areas = np.empty(REDRAWS)
    for redraw in range(REDRAWS):
        random = generator(seed, "never-trained", redraw)
        rows = random.permutation(samples)[:MOST_SAMPLES]
        made_up = paired_design(len(rows), models, seed, f"never-trained-{redraw}")
        areas[redraw] = auc(lira.online(margins[:, rows], made_up).ravel(), made_up.ravel())
    mean, error = float(areas.mean()), float(areas.std(ddof=1) / np.sqrt(REDRAWS))
    return negative_control(mean, (mean - 1.96 * error, mean + 1.96 * error), error)


def untrained(control_signals: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> NegativeControl:
    """LiRA with the real membership on models that were initialised and never trained.

    Parameters
    ----------
    control_signals
        ``[S, n, Q, K]`` of the untrained models.
    keep
        bool ``[S, n]``: what the trained models of the same index saw.
    """
    pairs = len(keep) // 2
    pair = np.broadcast_to((np.arange(len(keep)) // 2)[:, np.newaxis], keep.shape)
    margins = signal(control_signals, "margin")
    refits = Refits(len(keep), lambda left: lira.online(margins[left], keep[left]))
    result = performance(lira.online(margins, keep), keep, pair, ((scores, keep[left]) for left, scores in refits))
    error = result.auc_standard_error if result.auc_standard_error is not None else float("inf")
    # Few pairs estimate their own error badly: cells that are independent give a floor for it.
    inside, outside = int(keep.sum()), int((~keep).sum())
    error = max(error, float(np.sqrt((inside + outside + 1) / (12 * inside * outside))))
    interval = logit_interval(result.auc, error, pairs - 1) if pairs >= FEWEST_PAIRS else None
    return negative_control(result.auc, interval, error)


def positive(asr: FloatArray, canary: npt.NDArray[np.bool_]) -> PositiveControl | None:
    """Compare the mean ASR of the canaries with that of everyone else; None without canaries."""
    if not canary.any():
        return None
    means = float(asr[canary].mean()), float(asr[~canary].mean())
    return PositiveControl(count=int(canary.sum()), mean_asr=means[0], others_mean_asr=means[1])
