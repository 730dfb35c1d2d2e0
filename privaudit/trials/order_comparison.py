"""Does the order of forgetting matter? Arms on the same seeds, paired differences, one verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from privaudit.results.measures import Interval
from privaudit.results.unlearning.trials import Arm, Claim, Contrast, OrderComparison, OrderVerdict
from privaudit.statistics.paired_tests import holm, paired_difference

DO_NOTHING, ONE_SHOT, RANDOM_GROUPS, REVERSE, RETRAIN = "do-nothing", "one-shot", "random-groups", "reverse", "retrain"

#: With fewer seeds no verdict is given: of 6 the smallest two-sided p is .031, and nothing survives Holm.
FEWEST_SEEDS = 9

#: A gain in ToW below this is not worth an order: an interval that lies below it speaks against the claim.
WORTH_HAVING = 0.01
LEVEL = 0.05

MEASURES = ("tow", "forget", "retain", "test", "mia_efficacy", "mia_gap", "jensen_shannon", "seconds")


def compare(runs: pd.DataFrame, order: str) -> OrderComparison:
    """Summarise arms, and contrast the ordered one with the others in ToW.

    Parameters
    ----------
    runs
        One row for each arm and seed: ``arm, seed`` and the `MEASURES`.
    order
        Name of the ordered arm.

    Returns
    -------
    OrderComparison
        The first contrast is the primary one, fixed beforehand, and what the verdict is on; p-values are corrected over
        all contrasts (Holm).
    """
    wide = runs.pivot(index="seed", columns="arm", values="tow")
    arms = {
        str(name): Arm(
            **{measure: float(rows[measure].mean()) for measure in MEASURES},
            tow_sd=float(rows["tow"].std(ddof=1)) if len(rows) > 1 else None,
            forget_steps=int(rows["forget_steps"].sum()),
            forget_steps_run=int(rows["forget_steps_run"].sum()),
            stopped=int(rows["stopped"].notna().sum()),
        )
        for name, rows in runs.groupby("arm", sort=False)
    }
    others = [RANDOM_GROUPS, ONE_SHOT, REVERSE, DO_NOTHING]
    found = [paired_difference(wide[order], wide[other]) for other in others]
    corrected = holm([1.0 if item.p is None else item.p for item in found])
    contrasts = tuple(
        Contrast(
            first=order,
            second=other,
            primary=other == RANDOM_GROUPS,
            mean=item.mean,
            ci=item.ci,
            p=item.p,
            p_holm=p,
            wins=item.wins,
            pairs=item.pairs,
        )
        for item, other, p in zip(found, others, corrected, strict=True)
    )
    return OrderComparison(seeds=len(wide), arms=arms, contrasts=contrasts, verdict=verdict(contrasts, len(wide), arms))


def verdict(contrasts: Sequence[Contrast], seeds: int, arms: Mapping[str, Arm]) -> OrderVerdict:
    """Say what may be said of the claim that this order beats random groups, and whether groups beat one shot."""
    primary, against_one_shot = contrasts[0], contrasts[1]
    claim, over_one_shot = (judge(one.mean, one.ci, one.p_holm, seeds) for one in (primary, against_one_shot))
    order = primary.first
    gains = (
        f"The order by {order} gains {_difference(primary)} in ToW over random groups and "
        f"{_difference(against_one_shot)} over the one-shot run of the same budget, over {seeds} seeds."
    )
    forgotten = (
        f"Accuracy on the forgotten: {100 * arms[order].forget:.1f}% (random groups "
        f"{100 * arms[RANDOM_GROUPS].forget:.1f}%, doing nothing {100 * arms[DO_NOTHING].forget:.1f}%, retrained "
        f"{100 * arms[RETRAIN].forget:.1f}%)."
    )
    conclusions = {
        "descriptive": f"With fewer than {FEWEST_SEEDS} seeds this describes what happened and proves nothing.",
        "supported": "That this order beats random groups is supported"
        + (
            "; it beats the one-shot run too."
            if over_one_shot == "supported"
            else "; that it beats the one-shot run is " + over_one_shot + "."
        ),
        "not supported": "That this order beats random groups is not supported.",
        "inconclusive": "Whether this order beats random groups stays open.",
    }
    nothing, floor = arms[DO_NOTHING].tow, arms[RETRAIN].tow
    untold = (
        f" Doing nothing (ToW {nothing:.3f}) is as close to a retrained model as two of them are to each other "
        f"({floor:.3f}): there is nothing here for an order to show in."
        if nothing >= floor
        else ""
    )
    return OrderVerdict(
        claim=claim, over_one_shot=over_one_shot, sentence=f"{gains} {forgotten} {conclusions[claim]}{untold}"
    )


def judge(
    mean: float, interval: Interval | None, p_value: float, seeds: int, worth_having: float = WORTH_HAVING
) -> Claim:
    """Return what a paired difference says of a claim; ``descriptive`` below `FEWEST_SEEDS` pairs.

    Parameters
    ----------
    mean, interval
        Of the difference, whose sign is that of the claim.
    p_value
        Of it, corrected for whatever else is tested.
    seeds
        Number of independent pairs.
    worth_having
        The smallest difference that would mean something.
    """
    if seeds < FEWEST_SEEDS:
        return "descriptive"
    if p_value < LEVEL:
        return "supported" if mean > 0 else "not supported"
    highest = mean if interval is None else interval[1]
    return "not supported" if highest < worth_having else "inconclusive"


def _difference(contrast: Contrast) -> str:
    bounds = "no interval" if contrast.ci is None else f"95% {contrast.ci[0]:+.3f} to {contrast.ci[1]:+.3f}"
    return f"{contrast.mean:+.3f} ({bounds}; p {contrast.p_holm:.3f} after Holm)"


def same_budget(runs: pd.DataFrame) -> bool:
    """Whether on every seed all arms that unlearn were allowed the same number of forget-sample gradients."""
    unlearning = runs[~runs["arm"].isin([DO_NOTHING, RETRAIN])]
    return bool((unlearning.groupby("seed")["forget_steps"].nunique() == 1).all()) and bool(
        np.all(unlearning["forget_steps"] > 0)
    )
