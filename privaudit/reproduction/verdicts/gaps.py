"""How far unlearning moved a group toward the retrained model, from where doing nothing leaves it."""

from __future__ import annotations

import pandas as pd

from privaudit.trials.order_comparison import DO_NOTHING

#: Where doing nothing is closer to the retrained model than this, there is no way to speak of a share of.
SHORTEST_WAY = 0.02


def against_nothing(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with what they changed against doing nothing on the same seed and set.

    Parameters
    ----------
    runs
        One row a run, with ``seed``, ``set``, ``arm`` and ``forget_gap``, the distance of its accuracy on D_u to that
        of a model retrained without it; every seed and set with a row of doing nothing.

    Returns
    -------
    pandas.DataFrame
        With ``gap_change``, the gap of doing nothing less the run's: positive where it came closer; and ``gap_closed``,
        that as a share of the way, NaN where the way is shorter than `SHORTEST_WAY`.
    """
    if "forget_gap" not in runs:
        return runs
    nothing = runs[runs["arm"] == DO_NOTHING].set_index(["seed", "set"])["forget_gap"]
    before = pd.Series(nothing.reindex(pd.MultiIndex.from_frame(runs[["seed", "set"]])).to_numpy(), runs.index)
    change = before - runs["forget_gap"]
    return runs.assign(gap_change=change, gap_closed=(change / before).where(before >= SHORTEST_WAY))
