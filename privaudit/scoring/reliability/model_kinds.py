"""Whether shadow models are of one kind: how wide their values lie over the samples, how high, and in what order.

Distances from the median of all models tell one odd model among many. They miss one that says the same of every sample,
and they fail where half of the models are odd: then the median is nobody's. Neither question asks who saw what.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.results.audit.outliers import DifferentKinds, OutlyingModel
from privaudit.statistics.intervals import FloatArray

#: Models are of different kinds whose values spread so many times as widely over the samples.
TIMES = 5.0

#: Or whose values typically lie so many spreads higher: a spread is that of models about a sample's median.
HIGHER = 10.0

#: So it is only said where more than this share lies halfway there from the middle: fewer are odd among siblings.
FEW = 0.25

#: Models agree on which samples are easy where they typically follow the median with this rank correlation …
AGREED = 0.7

#: … and a model is a stranger that follows it by less than this share of what is typical.
OF_TYPICAL = 1 / 3


def different_kinds(values: npt.NDArray[Any], usual: float) -> DifferentKinds | None:
    """Find the two most unlike models of ``[S, N]``; None where all are of one kind, but for a few.

    Parameters
    ----------
    values
        A few thousand samples are enough.
    usual
        The usual spread between models (`privaudit.scoring.reliability.outliers.usual_spread`), above 0.
    """
    own = np.asarray(values, np.float64)
    level = np.median(own, axis=1)
    width = np.median(np.abs(own - level[:, np.newaxis]), axis=1)
    widest, narrowest = int(np.argmax(width)), int(np.argmin(width))
    # Where most samples have one value, or a model says the same of all, there is no width to compare.
    far = np.maximum(width, np.median(width)) > np.sqrt(TIMES) * np.minimum(width, np.median(width))
    if width[narrowest] > 0 and width[widest] > TIMES * width[narrowest] and far.mean() > FEW:
        return DifferentKinds(model=widest, other=narrowest, wider=float(width[widest] / width[narrowest]), higher=None)
    above = np.median(own - np.median(own, axis=0), axis=1)
    highest, lowest = int(np.argmax(above)), int(np.argmin(above))
    gap = float(above[highest] - above[lowest])
    # Half of the models may be far off: the spread between models is then that of the two kinds.
    within = min(usual, float(np.median(width)) or usual)
    far = abs(above - np.median(above)) > HIGHER * within / 2
    if gap > HIGHER * within and far.mean() > FEW:
        return DifferentKinds(model=highest, other=lowest, wider=None, higher=gap / within)
    return None


def strangers(values: npt.NDArray[Any]) -> tuple[OutlyingModel, ...]:
    """Find models to whom other samples are easy than to their siblings, with both rank correlations.

    Parameters
    ----------
    values
        ``[S, N]``; a few thousand samples are enough.
    """
    centre = _ranks(np.median(np.asarray(values, np.float64), axis=0))
    follows = np.array([_correlation(_ranks(one), centre) for one in values])
    typical = float(np.median(follows))
    if typical < AGREED:
        return ()
    return tuple(
        OutlyingModel(model=int(model), correlation=float(follows[model]), siblings=typical)
        for model in np.flatnonzero(follows < OF_TYPICAL * typical)
    )


def _ranks(values: npt.NDArray[Any]) -> FloatArray:
    ranks = stats.rankdata(values)
    centred: FloatArray = ranks - ranks.mean()
    return centred


def _correlation(one: FloatArray, other: FloatArray) -> float:
    scale = float(np.sqrt(np.sum(one**2) * np.sum(other**2)))
    return float(np.sum(one * other)) / scale if scale > 0 else 0.0
