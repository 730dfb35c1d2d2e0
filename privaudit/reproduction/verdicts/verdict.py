"""From runs to verdicts: paired differences over independent units, corrected for ten claims, one of three words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from privaudit.reproduction.claims.experiment import CLASSES, Contrast, Side
from privaudit.results.reproduction_results import Decision, PairedContrast
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


def measure_contrast(runs: pd.DataFrame, contrast: Contrast) -> PairedContrast | None:
    """Measure a contrast as a paired difference over independent draws; None where one of its sides was not run.

    Parameters
    ----------
    runs
        One row a run: ``seed``, the keys of `privaudit.reproduction.claims.experiment.KEYS`, measures, and ``unit``,
        what it is a draw of (`privaudit.reproduction.claims.independent_units`); without that every seed is a draw of
        its own.
    contrast
        What is compared.
    """
    one, other = contrast.first, contrast.second
    first = _by_seed(runs, one, contrast)
    second = first * 0.0 if other is None else _by_seed(runs, other, contrast)
    both = pd.concat([first.rename("first"), second.rename("second")], axis=1).dropna()
    if both.empty:
        return None
    seeds = len(both)
    both = both.groupby(_units(runs, one).reindex(both.index), sort=False).mean()
    found = paired_difference(both["first"], both["second"])
    return PairedContrast(
        mean=found.mean,
        ci=found.ci,
        p=found.p,
        wins=found.wins,
        pairs=found.pairs,
        seeds=seeds,
        unit="class" if one.set == CLASSES else "seed",
        says=contrast.says,
        measure=contrast.measure,
        # By what tells it from the other side.
        first=one.set if other is None or one.set != other.set else one.arm,
        second=None if other is None else other.set if one.set != other.set else other.arm,
        first_mean=float(both["first"].mean()),
        second_mean=None if other is None else float(both["second"].mean()),
        methods=contrast.methods,
        worth_having=contrast.worth_having,
    )


def _units(runs: pd.DataFrame, side: Side) -> pd.Series[Any]:
    """What each seed is a draw of, by seed."""
    of_set = runs[runs["set"] == side.set]
    units: pd.Series[Any] = of_set.groupby("seed")["unit" if "unit" in runs else "seed"].first()
    return units


def _by_seed(runs: pd.DataFrame, side: Side, contrast: Contrast) -> pd.Series[float]:
    """Mean over the methods for every seed that has them all; what is no method's (doing nothing) counts for each."""
    if contrast.measure not in runs:
        return pd.Series(dtype=float)
    of_side = runs[(runs["set"] == side.set) & (runs["arm"] == side.arm)]
    if contrast.methods:
        of_side = of_side[of_side["method"].isin([*contrast.methods, ""])]
    whole = of_side.groupby("seed")["method"].nunique()
    wanted = 1 if set(of_side["method"]) == {""} else len(set(contrast.methods))
    seeds = whole[whole >= wanted].index
    means: pd.Series[float] = of_side[of_side["seed"].isin(seeds)].groupby("seed")[contrast.measure].mean()
    return means


def decide(contrast: PairedContrast) -> Decision:
    """Judge one primary contrast by itself.

    The correction is Bonferroni's over all ten claims. A stepwise one is less strict, but what it says of a claim hangs
    on the p-values of the others: run alone, a claim would be judged otherwise. Whatever subset of the ten is run, the
    chance that even one of them is wrongly called supported stays below 5%.
    """
    p = bonferroni(contrast.p, CLAIMS)
    return Decision(p_corrected=p, verdict=judge(contrast.mean, contrast.ci, p, contrast.pairs, contrast.worth_having))
