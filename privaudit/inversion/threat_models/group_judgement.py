"""What reconstructions of a group are worth: each assigned to one image, and held against images that took no part.

An update does not say which reconstruction is whose: they are assigned to the group's images so that the sum of
squared errors is least (Kuhn 1955). The best of n! pairings flatters, so the same reconstructions are assigned, by the
same rule, to as many other images of the same classes: what they achieve there is the null rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from privaudit.inversion.image_similarity import Images, place, psnr_of_error
from privaudit.results.audit.realistic_inversion import Rebuilt
from privaudit.results.measures import Share
from privaudit.statistics.intervals import FloatArray, share_interval

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class References:
    """All images ``[m, H, W, C]`` that a reconstruction might be of, in units of ``1 / scale``."""

    images: npt.NDArray[Any]
    scale: float


def assigned(images: Images, truths: Images) -> Rows:
    """Which image is taken for each truth, ``[n]``: the assignment of the least total squared error."""
    flat, true = (np.asarray(some, np.float64).reshape(len(some), -1) for some in (images, truths))
    apart = (true**2).sum(1)[:, np.newaxis] + (flat**2).sum(1) - 2 * true @ flat.T
    rows, columns = linear_sum_assignment(apart)
    found: Rows = columns[np.argsort(rows)]
    return found


def others(rows: Rows, labels: Rows, random: np.random.Generator) -> Rows:
    """Draw as many records that took no part, of the same classes where there are so many: rows of ``labels [N]``."""
    left = random.permutation(np.setdiff1d(np.arange(len(labels)), rows)).tolist()
    drawn = []
    for row in rows:
        spot = next((at for at, other in enumerate(left) if labels[other] == labels[row]), 0)
        drawn.append(left.pop(spot))
    return np.array(drawn, np.int64)


def judge(taken: Images, truths: Images, own: Rows, references: References) -> dict[str, npt.NDArray[Any]]:
    """Say what each assigned image is worth against its truth, both ``[m, H, W, C]``; ``[m]`` each.

    ``own`` says which reference a truth is; −1 where it is none of them.
    """
    placed = place(taken, truths, references.images, own, references.scale)
    return {"psnr": psnr_of_error(placed.error), "recovered": placed.recovered, "identified": placed.rank == 1}


def rebuilt(found: dict[str, npt.NDArray[Any]], labels: npt.NDArray[Any] | None) -> Rebuilt:
    """Join what groups came to, ``[G, n]`` each, and the share of labels that is right, ``[G]``."""
    return Rebuilt(
        recovered=share_of_groups(found["recovered"]),
        identified=share_of_groups(found["identified"]),
        psnr=float(found["psnr"].mean()),
        labels=None if labels is None else float(labels.mean()),
    )


def share_of_groups(hits: npt.NDArray[Any]) -> Share:
    """The share of hits ``[G, n]``, with an interval over groups: records of a group come back together or not at all.

    The standard error is that of G group means, or that of as many independent records where it is larger. Where all or
    none hit, the interval is exact for independent records (`share_interval`).
    """
    groups, size = hits.shape
    rate, of_groups = float(hits.mean()), np.asarray(hits, np.float64).mean(axis=1)
    error = _error(of_groups) if groups > 1 else math.nan
    error = max(error, math.sqrt(rate * (1 - rate) / (groups * size)))
    return Share(
        rate=rate, ci=share_interval(round(float(hits.sum())), groups * size, error, groups - 1), n=groups * size
    )


def _error(means: FloatArray) -> float:
    return float(means.std(ddof=1)) / math.sqrt(len(means))
