"""Who bears the risk: exposure by class, or by any property of the samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.attacks.lira import verdict_is_right
from privaudit.results.audit.score_results import Exposure, GroupExposure
from privaudit.results.measures import Attack
from privaudit.statistics.group_accuracy import Shares, right_shares
from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.paired_tests import holm
from privaudit.statistics.performance import Evaluation

#: What the p-values take for independent: models that are drawn anew, and samples.
UNIT = "pairs of models and samples"

#: A group needs this many samples to be tested against the rest.
FEWEST_SAMPLES = 5


def exposure(
    values: npt.NDArray[np.str_],
    ratio: FloatArray,
    keep: npt.NDArray[np.bool_],
    clusters: npt.NDArray[np.int64],
    refits: Iterable[tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]] = (),
) -> Exposure:
    """Compare groups of samples by how often LiRA's verdict on them is right.

    Parameters
    ----------
    values
        ``[N]``: the group of each sample.
    ratio
        LiRA's, ``[S, N]``; NaN where there is none.
    keep
        bool ``[S, N]``.
    clusters
        ``[S]``: which models depend on each other (complementary pairs).
    refits
        LiRA where each group of pairs in turn was never there (`privaudit.statistics.jackknife.Refits`).

    Returns
    -------
    Exposure
        Groups by falling mean risk. A group has no p where it, or the rest, is too small (`differences`), no interval
        below 4 pairs, and no attack below `FEWEST_SAMPLES`. The overall p, of "all groups are equally exposed", is the
        smallest of theirs; None where fewer than two have one.
    """
    verdicts = verdict_is_right(ratio, keep)
    risk = np.nanmean(verdicts, axis=0)
    names, group = np.unique(values, return_inverse=True)
    sizes = np.bincount(group, minlength=len(names))
    shares = right_shares(ratio, keep, group, clusters, refits)
    p_values = differences(verdicts, group, shares)
    intervals = shares.intervals()
    attacks = _attacks(ratio, keep, clusters, group, sizes >= FEWEST_SAMPLES, refits)
    rows = [
        GroupExposure(
            name=str(names[index]),
            samples=int(sizes[index]),
            mean=float(risk[group == index].mean()),
            ci=intervals[index],
            high=int((risk[group == index] >= 0.9).sum()),
            p=p_values.get(index),
            attack=attacks.get(index),
        )
        for index in range(len(names))
    ]
    overall = min(p_values.values()) if len(p_values) > 1 else None
    return Exposure(p=overall, unit=UNIT, groups=sorted(rows, key=lambda row: (-row.mean, row.name)))


def differences(verdicts: FloatArray, group: npt.NDArray[np.int64], shares: Shares) -> dict[int, float]:
    """Test each group's mean ASR against that of all other samples.

    Models are few and all samples are judged by the same ones: where the leak varies from model to model, a group that
    some models happen to leak differs over thousands of samples. So the error of a difference is that over pairs of
    models (the jackknife's), and what samples of the same models add to it: V = V_pairs + V_samples − V_cells, each the
    variance were that the unit alone (Cameron, Gelbach and Miller 2011). The t distribution has the degrees of freedom
    of the pairs, the fewer of the two.

    Parameters
    ----------
    verdicts
        ``[S, N]``: 1 right, 0 wrong, NaN where there is none.
    group
        ``[N]`` in ``0 … groups-1``.
    shares
        Of the same groups.

    Returns
    -------
    dict
        p of each group that is large enough, two-sided, after Holm's correction; of two groups there is one difference
        and nothing to correct. Empty where nothing can be tested.
    """
    risk, number = np.nanmean(verdicts, axis=0), np.isfinite(verdicts).sum(axis=0)
    sizes = np.bincount(group)
    cell = risk * (1 - risk) / np.maximum(number - 1, 1)
    tested, found = [], []
    for index in range(len(sizes)):
        inside = group == index
        if min(sizes[index], len(group) - sizes[index]) < FEWEST_SAMPLES:
            continue
        weights = np.where(np.arange(len(sizes)) == index, 1.0, -sizes / (len(group) - sizes[index]))
        of_pairs = shares.contrast_error(weights) ** 2
        parts = [risk[inside], risk[~inside]]
        of_samples = sum(float(part.var(ddof=1)) / len(part) for part in parts)
        of_samples -= sum(float(part.mean()) / len(part) for part in (cell[inside], cell[~inside]))
        of_samples = max(0.0, of_samples)
        variance = of_pairs + of_samples
        if not np.isfinite(variance) or variance <= 0:
            continue
        size = abs(parts[0].mean() - parts[1].mean()) / np.sqrt(variance)
        tested.append(index)
        found.append(float(2 * stats.t.sf(size, shares.degrees)))
    corrected = found if len(sizes) == 2 else holm(found)
    return dict(zip(tested, corrected, strict=True))


def _attacks(
    ratio: FloatArray,
    keep: npt.NDArray[np.bool_],
    clusters: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.bool_],
    refits: Iterable[tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]],
) -> dict[int, Attack]:
    """How well members are told from others within each group that is wanted and has both."""
    cluster = np.broadcast_to(clusters[:, np.newaxis], ratio.shape)
    there = np.isfinite(ratio)
    members = {int(index): group == index for index in np.flatnonzero(wanted)}
    evaluations = {}
    for index, chosen in members.items():
        cells = there[:, chosen]
        inside = keep[:, chosen][cells]
        if inside.any() and not inside.all():
            evaluations[index] = Evaluation(ratio[:, chosen][cells], inside, cluster[:, chosen][cells])
    for left, scores in refits:
        for index, evaluation in evaluations.items():
            evaluation.leave_out(scores[:, members[index]], keep[left][:, members[index]])
    return {index: evaluation.performance().in_brief() for index, evaluation in evaluations.items()}
