"""From runs to verdicts: paired differences over independent draws, corrected over what is claimed, and a word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from privaudit.reproduction.claims.catalogue import EXPERIMENTS
from privaudit.reproduction.claims.experiment import CLASSES, OVERLAPPING, PART, Contrast, Side
from privaudit.reproduction.claims.independent_units import by_unit
from privaudit.results.reproduction_results import Decision, PairedContrast
from privaudit.statistics.paired_tests import holm, paired_difference
from privaudit.trials.order_comparison import FEWEST_SEEDS, LEVEL

#: Figure 1 is answered by one audit, not over seeds.
OF_ONE_AUDIT = "figure1"

#: By protocol the claims of the catalogue that are answered over seeds under it: what Holm's correction is over.
CLAIMED: dict[str, tuple[str, ...]] = {
    protocol: tuple(
        one.name for one in EXPERIMENTS if one.name != OF_ONE_AUDIT and protocol in one.contrasts() and one.claim
    )
    for protocol in dict.fromkeys(name for one in EXPERIMENTS for name in one.contrasts())
}

RULE = (
    f"Not supported: over at least {FEWEST_SEEDS} independent draws, the 95% interval lies below the smallest "
    "difference worth having, or p < .05 of exact sign flips against the claim, after Holm's correction over every "
    "claim that is answered over seeds under that protocol. Supported: otherwise, where p < .05 in its direction after "
    "the same. Inconclusive: neither. A claim that was not run counts with p = 1, so that running fewer "
    "makes nothing easier; the p-values of all stand in every results.json (family), and a verdict follows from that "
    "file alone. Draws are seeds; of groups of samples, parts of the training set that no two seeds share; of whole "
    "classes, distinct classes. With fewer draws, or where groups of seeds overlap, nothing is decided and the result "
    "is descriptive. docs/findings.md says what was changed after which runs."
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
    # What is no method's stands beside every method, once. A seed that lacks anything of it does not count.
    sides = [first.rename("first"), second.rename("second"), _difference(runs, contrast).rename("difference")]
    both = pd.concat(sides, axis=1).dropna()
    if both.empty:
        return None
    seeds = len(both)
    units = _units(runs, one).reindex(both.index)
    both = both.groupby(units, sort=False).mean()
    found = paired_difference(both["difference"], 0 * both["difference"])
    return PairedContrast(
        mean=found.mean,
        ci=found.ci,
        p=found.p,
        wins=found.wins,
        pairs=found.pairs,
        seeds=seeds,
        unit=_kind(one.set, units),
        says=contrast.says,
        measure=contrast.measure,
        # By what tells it from the other side.
        first=one.set if other is None or one.set != other.set else one.arm,
        second=None if other is None else other.set if one.set != other.set else other.arm,
        first_mean=float(both["first"].mean()),
        second_mean=None if other is None else float(both["second"].mean()),
        methods=contrast.methods,
        worth_having=contrast.worth_having,
        most=_most(runs, contrast),
    )


def _units(runs: pd.DataFrame, side: Side) -> pd.Series[Any]:
    """What each seed is a draw of, by seed."""
    of_set = runs[runs["set"] == side.set]
    units: pd.Series[Any] = by_unit(of_set).groupby(of_set["seed"]).first()
    return units


def _kind(name: str, units: pd.Series[Any]) -> str:
    """What the draws of a set are."""
    if name == CLASSES:
        return "class"
    kinds = {str(unit).split(" ")[0] for unit in units}
    return OVERLAPPING if OVERLAPPING in kinds else PART if kinds == {PART} else "seed"


def _most(runs: pd.DataFrame, contrast: Contrast) -> float | None:
    """What the mean would be at most, where the runs say so (`privaudit.reproduction.verdicts.gaps`)."""
    found = _by_seed(runs, contrast.first, replace(contrast, measure=f"{contrast.also or contrast.measure}_most"))
    return float(found.mean()) if len(found) else None


def _difference(runs: pd.DataFrame, contrast: Contrast) -> pd.Series[float]:
    """First side less second, by seed: the mean over methods of what each differs, with `Contrast.also` and its cap."""
    one, other, cap = contrast.first, contrast.second, contrast.cap
    if contrast.also is not None:
        difference = _difference(runs, replace(contrast, also=None))
        lesser: pd.Series[float] = pd.concat(
            [difference, _by_seed(runs, one, replace(contrast, measure=contrast.also))], axis=1
        ).min(axis=1, skipna=False)
        return lesser
    if cap is None or other is None:
        first = _by_seed(runs, one, contrast)
        return first if other is None else first - _by_seed(runs, other, contrast)
    alone = [replace(contrast, methods=(method,)) for method in contrast.methods]
    each = [(_by_seed(runs, one, of) - _by_seed(runs, other, of)).clip(-cap, cap) for of in alone]
    mean: pd.Series[float] = pd.concat(each, axis=1).mean(axis=1, skipna=False)
    return mean


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


def p_of_claim(contrast: PairedContrast | None) -> float | None:
    """One-sided p in the direction of the claim; None where nothing may be decided. The other direction's is its rest.

    Under flipped signs the sum is distributed symmetrically, so that the two-sided p is twice the smaller one.
    """
    if contrast is None or contrast.p is None or not may_decide(contrast):
        return None
    return contrast.p / 2 if contrast.mean > 0 else 1 - contrast.p / 2


def may_decide(contrast: PairedContrast) -> bool:
    """Whether there are enough draws, and independent ones."""
    return contrast.pairs >= FEWEST_SEEDS and contrast.unit != OVERLAPPING


def family_of(protocol: str, found: Mapping[str, PairedContrast | None]) -> dict[str, float | None]:
    """The p-values of every claim under a protocol, from the contrasts that were run, by experiment."""
    return {name: p_of_claim(found.get(name)) for name in CLAIMED[protocol]}


def decide(contrast: PairedContrast | None, name: str, family: Mapping[str, float | None]) -> Decision:
    """Judge one primary contrast.

    Parameters
    ----------
    contrast
        What is judged; None where it was not run.
    name
        Of its experiment.
    family
        One-sided p of every claim under the same protocol, its own among them; None counts as 1.
    """
    if contrast is None:
        return Decision(p_corrected=None, verdict="not run")
    if not may_decide(contrast):
        return Decision(p_corrected=None, verdict="descriptive")
    names = list(family)
    place = names.index(name)
    own = p_of_claim(contrast)
    shown = [own if one == name else family[one] for one in names]
    supports = holm([1.0 if p is None else p for p in shown])[place]
    refutes = holm([1.0 if p is None else 1 - p for p in shown])[place]
    highest = contrast.mean if contrast.ci is None else contrast.ci[1]
    # Where there is hardly any way to go, that hardly any was gone speaks for nothing.
    is_askable = contrast.most is None or contrast.most >= contrast.worth_having
    if is_askable and highest < contrast.worth_having:
        return Decision(p_corrected=min(supports, refutes), verdict="not supported")
    if refutes < LEVEL:
        return Decision(p_corrected=refutes, verdict="not supported")
    return Decision(p_corrected=supports, verdict="supported" if supports < LEVEL else "inconclusive")


def decide_alone(contrast: PairedContrast, protocol: str, name: str) -> Decision:
    """Judge a contrast as if no other claim had been run: as strictly as Holm's correction ever is."""
    return decide(contrast, name, family_of(protocol, {name: contrast}))
