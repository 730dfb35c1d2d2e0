"""What inversions say of each sample and of themselves: scores, reliability, what they go with, and what chance gives.

Runs are arrays ``[M, R, n]``: attacked models, restarts, samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.inversion.image_similarity import Placement, mean_squared_error, psnr_of_error, ssim
from privaudit.results.audit.inversion_results import Outcomes, PairedCorrelation
from privaudit.results.measures import Correlation, Share
from privaudit.statistics.intervals import FloatArray, spearman, wilson

Runs = Mapping[str, npt.NDArray[Any]]

#: Columns of the score table that inversion fills; null where it did not run.
COLUMNS = (
    *("inverted", "inversion_success", "psnr", "ssim", "nn_margin", "id_rank"),
    *("psnr_sd_models", "psnr_sd_restarts", "psnr_best", "inversion_group"),
    *("t1_recovered", "t1_psnr", "t1_ssim", "t1_nn_margin", "t1_id_rank", "t1_psnr_sd_models"),
    *("gradient_norm", "curvature"),
)
_FLAGS = ("inverted", "t1_recovered")

#: Outside these shares of success there is no ranking to speak of.
FEWEST, MOST = 0.05, 0.95


def sample_scores(runs: Runs) -> dict[str, npt.NDArray[Any]]:
    """One row a sample from gradient matching, ``[n]`` each.

    Means are over models and restarts. ``psnr_best`` is that of the restart with the lowest objective (the attack's
    own choice; it never sees the truth), averaged over models. The SD over models is that of the means over restarts;
    that over restarts is pooled over models.
    """
    recovered, psnr = runs["recovered"].astype(np.float64), runs["psnr"].astype(np.float64)
    success = recovered.mean(axis=(0, 1))
    return {
        "inverted": success >= 0.5,
        "inversion_success": success,
        "psnr": psnr.mean(axis=(0, 1)),
        "ssim": runs["ssim"].mean(axis=(0, 1)),
        "nn_margin": runs["nn_margin"].mean(axis=(0, 1)),
        "id_rank": np.median(runs["id_rank"], axis=(0, 1)),
        "psnr_sd_models": _deviation(psnr.mean(axis=1), axis=0),
        "psnr_sd_restarts": np.sqrt(np.mean(_deviation(psnr, axis=1) ** 2, axis=0)),
        "psnr_best": chosen(psnr, runs["objective"]).mean(axis=0),
    }


def feature_scores(runs: Runs) -> dict[str, npt.NDArray[Any]]:
    """The same from feature matching, which has one start; ``t1_recovered``: under at least half of the models."""
    scores = sample_scores(runs)
    names = {"inverted": "t1_recovered"} | {
        name: f"t1_{name}" for name in ("psnr", "ssim", "nn_margin", "id_rank", "psnr_sd_models")
    }
    return {column: scores[name] for name, column in names.items()}


def chosen(values: npt.NDArray[Any], objective: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Of ``[M, R, …]`` the restart with the lowest objective ``[M, R, n]``, ``[M, n, …]``."""
    best = np.nan_to_num(objective, nan=np.inf).argmin(axis=1)
    models, samples = best.shape
    picked: npt.NDArray[Any] = values[np.arange(models)[:, np.newaxis], best, np.arange(samples)]
    return picked


def _deviation(values: FloatArray, axis: int) -> FloatArray:
    if values.shape[axis] < 2:
        return np.full(np.delete(values.shape, axis), np.nan)
    deviation: FloatArray = values.std(axis=axis, ddof=1)
    return deviation


def reliability(psnr: npt.NDArray[Any]) -> dict[str, PairedCorrelation]:
    """How alike two ``restarts``, and two ``models``, rank the samples: Spearman's ρ of the PSNR, averaged over pairs.

    The interval is that of the first pair, moved to the average. None where there is one of a kind.
    """
    models, restarts, samples = psnr.shape
    over_restarts = [(psnr[m, a], psnr[m, b]) for m in range(models) for a, b in combinations(range(restarts), 2)]
    means = psnr.mean(axis=1)
    over_models = [(means[a], means[b]) for a, b in combinations(range(models), 2)]
    return {"restarts": _mean_spearman(over_restarts, samples), "models": _mean_spearman(over_models, samples)}


def _mean_spearman(pairs: Sequence[tuple[FloatArray, FloatArray]], samples: int) -> PairedCorrelation:
    found = [spearman(*pair) for pair in pairs]
    values = [one.spearman for one in found if one.spearman is not None]
    if not values:
        return PairedCorrelation(spearman=None, ci=None, n=samples, pairs=len(pairs))
    mean, first, bounds = float(np.mean(values)), found[0], None
    if first.ci is not None and first.spearman is not None:
        move = mean - first.spearman
        low, high = (max(-1.0, min(1.0, bound + move)) for bound in first.ci)
        bounds = low, high
    return PairedCorrelation(spearman=mean, ci=bounds, n=samples, pairs=len(values))


def confounders(psnr: npt.NDArray[Any], others: Mapping[str, npt.NDArray[Any]]) -> dict[str, Correlation]:
    """Spearman's ρ of each sample's PSNR with other numbers ``[n]``, with intervals."""
    return {name: spearman(psnr, values) for name, values in others.items()}


def rate(hits: npt.NDArray[Any]) -> Share:
    """A share of samples with Wilson's 95% interval."""
    count = len(hits)
    if not count:
        return Share(rate=None, ci=None, n=0)
    low, high = wilson(float(np.sum(hits)), count)
    return Share(rate=float(np.mean(hits)), ci=(float(low), float(high)), n=count)


def null_rates(truths: npt.NDArray[Any], guesses: npt.NDArray[Any], placed: Placement) -> Outcomes:
    """How often each criterion is met by guesses that owe nothing to the gradient.

    Parameters
    ----------
    truths, guesses
        ``[n, H, W, C]`` on the 0–1 scale.
    placed
        Where the guesses lie among the reference images.
    """
    psnr, alike = psnr_of_error(mean_squared_error(guesses, truths)), ssim(guesses, truths)
    return {name: rate(hits) for name, hits in _criteria(placed.recovered, placed.rank, psnr, alike).items()}


def _criteria(
    recovered: npt.NDArray[Any], rank: npt.NDArray[Any], psnr: npt.NDArray[Any], alike: npt.NDArray[Any]
) -> dict[str, npt.NDArray[Any]]:
    """What counts as a success, by name."""
    return {
        "recovered": recovered,
        "identified": rank == 1,
        "psnr_above_20": psnr >= 20,
        "ssim_above_0.5": alike >= 0.5,
        "ssim_above_0.9": alike >= 0.9,
    }


def outcomes(runs: Runs) -> Outcomes:
    """The same criteria met by the inversions: the share over models and restarts, averaged over samples.

    The interval is Wilson's for n samples: restarts and models of one sample are no independent trials.
    """
    met = _criteria(runs["recovered"], runs["id_rank"], runs["psnr"], runs["ssim"])
    return {name: rate(hits.astype(np.float64).mean(axis=(0, 1))) for name, hits in met.items()}


def no_ranking(share: float | None) -> str | None:
    """Why success rates rank nothing; None where they do, or where nothing was inverted."""
    if share is None or FEWEST <= share <= MOST:
        return None
    return (
        f"{100 * share:.1f}% of the inversions succeeded: with fewer than {100 * FEWEST:.0f}% or more than "
        f"{100 * MOST:.0f}% success does not rank the samples"
    )


def join(table: pd.DataFrame, scores: Mapping[str, tuple[npt.NDArray[np.int64], npt.NDArray[Any]]]) -> pd.DataFrame:
    """Add inversion's columns to the score table.

    Parameters
    ----------
    table
        One row a sample of the pool.
    scores
        Column -> the rows it is known of, and its values there.
    """
    joined = table.copy()
    for name in COLUMNS:
        if name in _FLAGS:
            column: pd.Series[Any] = pd.Series(pd.NA, index=table.index, dtype="boolean")
        elif name == "inversion_group":
            column = pd.Series(None, index=table.index, dtype=object)
        else:
            column = pd.Series(np.nan, index=table.index)
        if name in scores:
            rows, values = scores[name]
            column.iloc[rows] = values
        joined[name] = column
    return joined
