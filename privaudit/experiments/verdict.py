"""From runs to verdicts: paired differences over seeds, Holm over the claims, one of three words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from privaudit.evaluation.order_comparison import FEWEST_SEEDS, judge
from privaudit.experiments.entry import Contrast, Side
from privaudit.statistics.trials import holm, paired_difference

#: Claims of the catalogue that are answered over seeds: all but Figure 1, which one audit answers. Holm's correction is
#: over all of them, whether they were run or not, so that no verdict depends on what else was run.
CLAIMS = 10

RULE = (
    f"Supported: over at least {FEWEST_SEEDS} seeds, p < .05 of exact sign flips after Holm over the ten claims that "
    "are answered over seeds, and the difference has the claim's sign. Not supported: otherwise, where it has the "
    "other sign with p < .05, or its 95% interval lies below the smallest difference worth having. Inconclusive: "
    "neither. With fewer seeds nothing is decided and the result is descriptive. Rule and primary contrasts were fixed "
    "before any of these runs."
)


def measure_contrast(runs: pd.DataFrame, contrast: Contrast) -> dict[str, Any] | None:
    """A contrast over seeds; None where one of its sides was not run.

    Parameters
    ----------
    runs
        One row a run: ``seed``, the keys of `privaudit.experiments.entry.KEYS`, and measures.
    contrast
        What is compared.

    Returns
    -------
    dict
        ``mean, ci, p, wins, pairs`` of the paired difference, and the two means.
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
    found = paired_difference(both["first"], both["second"]).to_json()
    return found | {
        "says": contrast.says,
        "measure": contrast.measure,
        "first": _name(contrast.first, contrast.second),
        "second": None if contrast.second is None else _name(contrast.second, contrast.first),
        "first_mean": float(both["first"].mean()),
        "second_mean": None if contrast.second is None else float(both["second"].mean()),
        "methods": list(contrast.methods),
        "worth_having": contrast.worth_having,
    }


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


def decide(contrasts: dict[str, dict[str, Any]], worth: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Correct the primary contrasts of one protocol for one another, and judge each.

    Parameters
    ----------
    contrasts
        By experiment, as `measure_contrast` gives them.
    worth
        The smallest difference worth having, by experiment.

    Returns
    -------
    dict
        By experiment: ``p_holm`` and ``verdict``.
    """
    names = list(contrasts)
    p_values = [contrasts[name]["p"] if contrasts[name]["p"] is not None else 1.0 for name in names]
    corrected = holm(p_values + [1.0] * max(0, CLAIMS - len(names)))
    return {
        name: {
            "p_holm": p,
            "verdict": judge(contrasts[name] | {"p_holm": p}, contrasts[name]["pairs"], worth[name]),
        }
        for name, p in zip(names, corrected, strict=False)
    }
