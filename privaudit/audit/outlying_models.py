"""What stands out among the shadow models of an audit: which are left out, and which samples it concerns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.results.audit.outliers import Outliers
from privaudit.runtime.progress import talk
from privaudit.scoring.reliability.outliers import LISTED, find_outliers, models_to_leave_out

Mask = npt.NDArray[np.bool_]


def find_outlying(
    margins: npt.NDArray[Any],
    ids: npt.NDArray[Any],
    mates: npt.NDArray[np.int64],
    enough: Callable[[Mask], bool] = lambda left: True,
    is_margin: bool = True,
) -> Outliers:
    """Find what stands out and which models are left out for it, and say on stderr which samples it concerns.

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
    found = find_outliers(margins, is_margin, ids)
    for one in found.values[:LISTED]:
        talk(f"  far outside: sample {one.sample_id} under model {one.model}, by {one.spreads:,.0f} spreads")
    for one in found.samples[:LISTED]:
        talk(f"  models differ {one.times:,.0f} times as much as usual: sample {one.sample_id}")
    found = found.model_copy(update={"left_out": models_to_leave_out(found, mates)})
    return found if enough(models_left(found, len(margins))) else found.model_copy(update={"left_out": ()})


def models_left(outliers: Outliers, models: int) -> Mask:
    """Return which of so many models stay, ``[S]``."""
    return ~np.isin(np.arange(models), outliers.left_out)
