"""Who bears the risk: exposure by class, or by any property of the samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from privaudit.statistics.intervals import FEWEST_PAIRS, FloatArray, Interval
from privaudit.statistics.paired import holm

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
    """

    name: str
    samples: int
    mean: float
    interval: Interval | None
    high: int
    p_value: float | None

    def to_json(self) -> dict[str, Any]:
        """As it stands in JSON results."""
        return {
            "name": self.name,
            "samples": self.samples,
            "mean": self.mean,
            "ci": None if self.interval is None else list(self.interval),
            "high": self.high,
            "p": self.p_value,
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
    verdicts: FloatArray,
    clusters: npt.NDArray[np.int64],
) -> Exposure:
    """Compare groups of samples by how often LiRA's verdict on them is right.

    Parameters
    ----------
    name
        Of the property.
    values
        ``[N]``: the group of each sample.
    verdicts
        ``[S, N]``: 1 where the verdict is right, ½ on a tie, NaN where there is none.
    clusters
        ``[S]``: which models depend on each other (complementary pairs).

    Returns
    -------
    Exposure
        Groups by falling mean risk.
    """
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
    intervals = _intervals(verdicts, group, len(names), clusters)
    rows = [
        GroupExposure(
            name=str(names[index]),
            samples=int(sizes[index]),
            mean=float(risk[group == index].mean()),
            interval=intervals[index],
            high=int((risk[group == index] >= 0.9).sum()),
            p_value=p_values.get(index),
        )
        for index in range(len(names))
    ]
    return Exposure(name, sorted(rows, key=lambda row: (-row.mean, row.name)), overall)


def _intervals(
    verdicts: FloatArray, group: npt.NDArray[np.int64], groups: int, clusters: npt.NDArray[np.int64]
) -> list[Interval | None]:
    """A t-interval over the clusters' mean verdicts, on the logit scale."""
    _, cluster = np.unique(clusters, return_inverse=True)
    count = int(cluster.max()) + 1
    if count < FEWEST_PAIRS:
        return [None] * groups
    right, asked = np.zeros((count, groups)), np.zeros((count, groups))
    there = np.isfinite(verdicts)
    for model, row in enumerate(verdicts):
        right[cluster[model]] += np.bincount(group[there[model]], weights=row[there[model]], minlength=groups)
        asked[cluster[model]] += np.bincount(group[there[model]], minlength=groups)
    # Half a success and half a failure more keep the logit finite at 0 and 1.
    shares = special.logit((right + 0.5) / (asked + 1))
    centre = shares.mean(axis=0)
    reach = stats.t.ppf(0.975, count - 1) * shares.std(axis=0, ddof=1) / np.sqrt(count)
    low, high = special.expit(centre - reach), special.expit(centre + reach)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
