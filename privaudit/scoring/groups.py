"""Who bears the risk: exposure by class, or by any property of the samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.attacks.lira import verdict_is_right
from privaudit.statistics.intervals import FloatArray, Interval
from privaudit.statistics.performance import Evaluation, Performance
from privaudit.statistics.shares import right_shares
from privaudit.statistics.trials import holm

#: What is said of the attack within a group.
OF_GROUP = ("auc", "auc_ci", "tpr_at_fpr", "tpr_ci", "smallest_fpr")

#: A group needs this many samples to be tested against the rest.
FEWEST_SAMPLES = 5


@dataclass(frozen=True)
class GroupExposure:
    """One group's risk.

    Parameters
    ----------
    name
        The group.
    samples
        How many samples it has.
    mean
        Their mean ASR.
    interval
        95%, over pairs of models; None below 4 pairs.
    high
        How many have an ASR of at least .9.
    p_value
        Of the group against all others (Mann and Whitney), corrected for the number of groups (Holm); None where the
        group, or the rest, is too small.
    attack
        How well LiRA tells members from others within the group; None where it has fewer than `FEWEST_SAMPLES`.
    """

    name: str
    samples: int
    mean: float
    interval: Interval | None
    high: int
    p_value: float | None
    attack: Performance | None

    def to_json(self) -> dict[str, Any]:
        """As it stands in JSON results."""
        attack = None if self.attack is None else self.attack.to_json()
        return {
            "name": self.name,
            "samples": self.samples,
            "mean": self.mean,
            "ci": None if self.interval is None else list(self.interval),
            "high": self.high,
            "p": self.p_value,
            "attack": attack and {key: attack[key] for key in OF_GROUP},
        }


@dataclass(frozen=True)
class Exposure:
    """Risk by the groups of one property.

    ``p_value`` is that of "all groups are equally exposed" (Kruskal and Wallis, over samples): None where there are
    fewer than two groups that are large enough, or risk does not vary.
    """

    property: str
    groups: list[GroupExposure]
    p_value: float | None

    def to_json(self) -> dict[str, Any]:
        """As it stands in JSON results."""
        return {"p": self.p_value, "groups": [group.to_json() for group in self.groups]}


def exposure(
    name: str,
    values: npt.NDArray[np.str_],
    ratio: FloatArray,
    keep: npt.NDArray[np.bool_],
    clusters: npt.NDArray[np.int64],
    refits: Iterable[tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]] = (),
) -> Exposure:
    """Compare groups of samples by how often LiRA's verdict on them is right.

    Parameters
    ----------
    name
        Of the property.
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
        Groups by falling mean risk.
    """
    verdicts = verdict_is_right(ratio, keep)
    risk = np.nanmean(verdicts, axis=0)
    names, group = np.unique(values, return_inverse=True)
    sizes = np.bincount(group, minlength=len(names))
    varies = bool(np.ptp(risk) > 0)
    overall = None
    large = [risk[group == index] for index in range(len(names)) if sizes[index] >= FEWEST_SAMPLES]
    if len(large) > 1 and varies:
        overall = float(stats.kruskal(*large).pvalue)
    tested = [i for i in range(len(names)) if varies and min(sizes[i], len(group) - sizes[i]) >= FEWEST_SAMPLES]
    against_rest = [float(stats.mannwhitneyu(risk[group == i], risk[group != i]).pvalue) for i in tested]
    p_values = dict(zip(tested, holm(against_rest), strict=True))
    intervals = right_shares(ratio, keep, group, clusters, refits).intervals()
    attacks = _attacks(ratio, keep, clusters, group, sizes >= FEWEST_SAMPLES, refits)
    rows = [
        GroupExposure(
            name=str(names[index]),
            samples=int(sizes[index]),
            mean=float(risk[group == index].mean()),
            interval=intervals[index],
            high=int((risk[group == index] >= 0.9).sum()),
            p_value=p_values.get(index),
            attack=attacks.get(index),
        )
        for index in range(len(names))
    ]
    return Exposure(name, sorted(rows, key=lambda row: (-row.mean, row.name)), overall)


def _attacks(
    ratio: FloatArray,
    keep: npt.NDArray[np.bool_],
    clusters: npt.NDArray[np.int64],
    group: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.bool_],
    refits: Iterable[tuple[npt.NDArray[np.bool_], npt.NDArray[Any]]],
) -> dict[int, Performance]:
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
    return {index: evaluation.performance() for index, evaluation in evaluations.items()}
