"""From runs to verdicts: paired differences over independent units, corrected for ten claims, one of three words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from privaudit.reproduction.claims.experiment import CLASSES, Contrast, Side
from privaudit.statistics.paired_tests import bonferroni, paired_difference
from privaudit.trials.order_comparison import FEWEST_SEEDS, judge

#: Claims of the catalogue that are answered over seeds: all but Figure 1, which one audit answers.
CLAIMS = 10

RULE = (
    f"Supported: over at least {FEWEST_SEEDS} independent draws, p < .05 of exact sign flips, times ten for the ten "
    "claims that are answered over seeds (Bonferroni, whatever was run: a verdict follows from one results.json "
    "alone), and the difference has the claim's sign. Not supported: otherwise, where it has the other sign with "
    "p < .05 after that, or its 95% interval lies below the smallest difference worth having. Inconclusive: neither. "
    "Seeds are the draws; where whole classes are forgotten, distinct classes are, and seeds that drew the same one "
    "are averaged first. With fewer draws nothing is decided and the result is descriptive. Primary contrasts were "
    "fixed before any of these runs. Afterwards the rule became stricter twice: a stepwise correction (Holm) had let "
    "a verdict depend on what else was run, and a class that was drawn twice had counted twice."
)


def measure_contrast(runs: pd.DataFrame, contrast: Contrast) -> dict[str, Any] | None:
    """Measure a contrast over independent draws; None where one of its sides was not run.

    Parameters
    ----------
    runs
        One row a run: ``seed``, the keys of `privaudit.reproduction.claims.experiment.KEYS`, measures, and ``unit``,
        what it is a draw of (`privaudit.reproduction.claims.independent_units`); without that every seed is a draw of
        its own.
    contrast
        What is compared.

    Returns
    -------
    dict
        ``mean, ci, p, wins, pairs`` of the paired difference over ``unit`` (seed or class), the two means, and how
        many ``seeds`` there were.
    """
    first = _by_seed(runs, contrast.first, contrast)
    second = None if contrast.second is None else _by_seed(runs, contrast.second, contrast)
    if first is None or (contrast.second is not None and second is None):
        return None
    if second is None:
        second = first * 0.0
    both = pd.concat([first.rename("first"), second.rename("second")], axis=1).dropna()
    if len(both) == 0:
        return None
    seeds = len(both)
    both = both.groupby(_units(runs, contrast.first).reindex(both.index), sort=False).mean()
    found = paired_difference(both["first"], both["second"]).to_json()
    return found | {
        "seeds": seeds,
        "unit": "class" if contrast.first.set == CLASSES else "seed",
        "says": contrast.says,
        "measure": contrast.measure,
        "first": _name(contrast.first, contrast.second),
        "second": None if contrast.second is None else _name(contrast.second, contrast.first),
        "first_mean": float(both["first"].mean()),
        "second_mean": None if contrast.second is None else float(both["second"].mean()),
        "methods": list(contrast.methods),
        "worth_having": contrast.worth_having,
    }


def _units(runs: pd.DataFrame, side: Side) -> pd.Series[Any]:
    """What each seed is a draw of, by seed."""
    of_set = runs[runs["set"] == side.set]
    units: pd.Series[Any] = of_set.groupby("seed")["unit" if "unit" in runs else "seed"].first()
    return units


def _by_seed(runs: pd.DataFrame, side: Side, contrast: Contrast) -> pd.Series[float] | None:
    """Mean over the methods for every seed that has them all; what is no method's (doing nothing) counts for each."""
    of_side = runs[(runs["set"] == side.set) & (runs["arm"] == side.arm)]
    if contrast.methods:
        of_side = of_side[of_side["method"].isin([*contrast.methods, ""])]
    if len(of_side) == 0 or contrast.measure not in of_side:
        return None
    whole = of_side.groupby("seed")["method"].nunique()
    wanted = 1 if set(of_side["method"]) == {""} else len(set(contrast.methods))
    seeds = whole[whole >= wanted].index
    means: pd.Series[float] = of_side[of_side["seed"].isin(seeds)].groupby("seed")[contrast.measure].mean()
    return means


def _name(side: Side, other: Side | None) -> str:
    """What a side is called beside the other one: by what differs."""
    if other is None or side.set != other.set:
        return side.set
    return side.arm


def decide(contrast: dict[str, Any]) -> dict[str, Any]:
    """Judge one primary contrast, as `measure_contrast` gives it, by itself.

    The correction is Bonferroni's over all ten claims. A stepwise one is less strict, but what it says of a claim hangs
    on the p-values of the others: run alone, a claim would be judged otherwise. Whatever subset of the ten is run, the
    chance that even one of them is wrongly called supported stays below 5%.

    Returns
    -------
    dict
        ``p_corrected`` and ``verdict``.
    """
    p = bonferroni(contrast["p"], CLAIMS)
    return {
        "p_corrected": p,
        "verdict": judge(contrast["mean"], contrast["ci"], p, contrast["pairs"], contrast["worth_having"]),
    }
