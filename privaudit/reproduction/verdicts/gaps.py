"""How far unlearning moved a group toward the retrained model, from where doing nothing leaves it."""

from __future__ import annotations

import pandas as pd

from privaudit.reproduction.claims.independent_units import by_unit
from privaudit.trials.order_comparison import DO_NOTHING

#: Where doing nothing is closer to the retrained model than this, there is no way to speak of a share of.
SHORTEST_WAY = 0.02


def against_nothing(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with what they changed against doing nothing on the same seed and set.

    Parameters
    ----------
    runs
        One row a run, with ``seed``, ``set``, ``arm``, ``forget_gap`` (the distance of its accuracy on D_u to that of
        a model retrained without it) and, where they were measured, ``forget`` with ``retrained_forget`` and
        ``log_relearn`` with ``log_relearn_ratio``; every seed and set with a row of doing nothing.

    Returns
    -------
    pandas.DataFrame
        With ``gap_change``, the gap of doing nothing less the run's: positive where it came closer; ``gap_closed``,
        that as a share of the way, NaN where the way is shorter than `SHORTEST_WAY`; ``fall``, by how much accuracy on
        D_u fell; ``past_half``, that less half of how much it falls when the model is retrained; ``way_gone``, the
        fall as a share of the set's mean way over all seeds; and ``relearn_past_half``, the same as ``past_half`` for
        the logarithm of steps to relearn. Differences, not shares, decide: a share of a short way is mostly noise. What
        ends in ``_most`` is what the measure would be were it the whole way.
    """
    if "forget_gap" not in runs:
        return runs
    nothing = runs[runs["arm"] == DO_NOTHING].set_index(["seed", "set"])
    places = pd.MultiIndex.from_frame(runs[["seed", "set"]])

    def of_nothing(column: str) -> pd.Series[float]:
        return pd.Series(nothing[column].reindex(places).to_numpy(), runs.index, dtype=float)

    before = of_nothing("forget_gap")
    change = before - runs["forget_gap"]
    found = runs.assign(gap_change=change, gap_closed=(change / before).where(before >= SHORTEST_WAY))
    if {"forget", "retrained_forget"} <= set(runs):
        fall = of_nothing("forget") - runs["forget"]
        way = of_nothing("forget") - of_nothing("retrained_forget")
        mean_way = runs["set"].map(_mean_way(nothing))
        found = found.assign(
            fall=fall,
            past_half=fall - way / 2,
            past_half_most=way / 2,
            way_gone=(fall / mean_way).where(mean_way >= SHORTEST_WAY),
        )
    if {"log_relearn", "log_relearn_ratio"} <= set(runs):
        gone = runs["log_relearn"] - of_nothing("log_relearn")
        way = -of_nothing("log_relearn_ratio")
        found = found.assign(relearn_past_half=gone - way / 2, relearn_past_half_most=way / 2)
    return found


def _mean_way(nothing: pd.DataFrame) -> pd.Series[float]:
    """By set, how much accuracy on D_u falls when the model is retrained: the mean over independent draws."""
    way = nothing["forget"] - nothing["retrained_forget"]
    of_draws = nothing.reset_index()
    rows = of_draws[["seed", "set"]].assign(way=way.to_numpy(), unit=by_unit(of_draws))
    means: pd.Series[float] = rows.groupby(["set", "unit"])["way"].mean().groupby("set").mean()
    return means
