"""What stands out among the shadow models of an audit: left out, drawn in, and said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.runtime.progress import talk
from privaudit.scoring.reliability.outliers import LISTED, find_outliers, sentences


@dataclass(frozen=True)
class Outlying:
    """What stands out.

    Parameters
    ----------
    left
        bool ``[S]``: the models that stay.
    found
        As it stands in JSON results, samples by their ids.
    warnings
        Sentences that name models and no sample.
    """

    left: npt.NDArray[np.bool_]
    found: dict[str, Any]
    warnings: list[str]


def find_outlying(
    margins: npt.NDArray[Any],
    ids: npt.NDArray[Any],
    mates: npt.NDArray[np.int64],
    enough: Callable[[npt.NDArray[np.bool_]], bool] = lambda left: True,
    is_margin: bool = True,
) -> Outlying:
    """Find what stands out, and say on stderr which samples it concerns.

    Parameters
    ----------
    margins
        ``[S, N, Q]``.
    ids
        Of the N samples.
    mates
        ``[S]``: the complement of each model, which is left out with it; itself where it has none.
    enough
        Whether the models that would be left can be attacked; where they can't, none is left out.
    is_margin
        Whether the sign says that a model is right; a statistic of the user's own may say something else.
    """
    outliers = find_outliers(margins, is_margin)
    left = np.ones(len(margins), np.bool_)
    left[list(outliers.left_out(mates))] = False
    if not enough(left):
        left[:] = True
    places = tuple(np.flatnonzero(~left).tolist())
    found = outliers.to_json(ids)
    for one in found["values"][:LISTED]:
        talk(f"  far outside: sample {one['sample_id']} under model {one['model']}, by {one['spreads']:,.0f} spreads")
    for one in found["samples"][:LISTED]:
        talk(f"  models differ {one['times']:,.0f} times as much as usual: sample {one['sample_id']}")
    return Outlying(left, found | {"left_out": list(places)}, sentences(found, places, len(margins)))
