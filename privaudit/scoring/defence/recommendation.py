"""Which measure is recommended, by a rule that was fixed before anything was measured.

The cheapest in accuracy of those that are shown to halve the members found at 1% false alarms: their TPR lies below
half of what it was by a one-sided test over pairs of models, Holm-corrected over every measure that was tried. A way to
train goes before a measure at the output, which only counts by the attack that adapts to it. An audit whose negative
control failed is no evidence: not for a variation, and of the audited configuration not for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from privaudit.results.defence_results import CONTROL_FAILED, Halves, Halving, OutputMeasure, Variant, Verdict
from privaudit.statistics.audit_difference import Estimate, difference, shown_below
from privaudit.statistics.paired_tests import holm

#: The false alarm rate at which members found decide.
DECIDING_RATE = "0.01"

#: What a test may be wrong with, over all measures together.
LEVEL = 0.05


@dataclass(frozen=True)
class Decision:
    """What is recommended: a name or None, and of which kind it is."""

    verdict: Verdict
    recommended: str | None = None
    at_output: bool = False


def halve(before: Estimate, after: Estimate, paired: bool) -> Halving:
    """Hold a TPR against half of another; what Holm makes of it is still to come."""
    half = Estimate(before.value / 2, before.influence / 2)
    found = difference(half, after, paired)
    return Halving(goal=half.value, difference=found, p=shown_below(half, after, paired), halves="not shown")


def corrected(measures: Sequence[Halving]) -> list[Halving]:
    """Correct the p-values of every measure together, and say of each whether it halves."""
    known = [one for one in measures if one.p is not None]
    by_holm = iter(holm([one.p for one in known if one.p is not None]))
    decided = []
    for one in measures:
        p = None if one.p is None else next(by_holm)
        decided.append(one.model_copy(update={"p_corrected": p, "halves": _says(one, p)}))
    return decided


def _says(found: Halving, p: float | None) -> Halves:
    if p is None:
        return "too few models"
    if found.difference.difference >= 0:
        return "no"
    return "yes" if p <= LEVEL else "not shown"


def decide(
    variants: Sequence[Variant], outputs: Sequence[OutputMeasure], max_accuracy_loss: float | None = None
) -> Decision:
    """Apply the rule.

    Parameters
    ----------
    variants
        The audited configuration first.
    outputs
        Measures at its output.
    max_accuracy_loss
        The most accuracy that the recommended one may cost, as a share; None for any.
    """
    baseline, *others = variants
    tpr = baseline.tpr_at_fpr.get(DECIDING_RATE)
    if tpr is None or CONTROL_FAILED in baseline.warnings:
        return Decision("too little evidence")
    if tpr / 2 < float(DECIDING_RATE):
        # Whoever guesses finds as many: half of it is nothing that a measure could reach.
        return Decision("nothing to halve")
    measures: list[Variant | OutputMeasure] = [*others, *outputs]
    of_all = [one.halving for one in measures if one.halving is not None]
    if not of_all or all(one.halves == "too few models" for one in of_all):
        return Decision("too little evidence")
    trusted = [one for one in others if CONTROL_FAILED not in one.warnings]
    helping = [one for one in trusted if one.halving is not None and one.halving.halves == "yes"]
    affordable = [one for one in helping if max_accuracy_loss is None or -change_of(one) <= max_accuracy_loss]
    if affordable:
        best = max(affordable, key=lambda one: (change_of(one), -(one.tpr_at_fpr[DECIDING_RATE] or 0.0)))
        return Decision("recommended", best.name)
    at_output = [one for one in outputs if one.helps and one.halving is not None and one.halving.halves == "yes"]
    if at_output:
        # The labels stay as they are, so none costs accuracy: the one that leaves the least to an attacker.
        least = min(at_output, key=lambda one: one.adaptive.tpr_at_fpr[DECIDING_RATE] or 0.0)
        return Decision("recommended", least.name, at_output=True)
    return Decision("nothing helped")


def change_of(variant: Variant) -> float:
    """Return the change of accuracy of the shadow models."""
    return 0.0 if variant.accuracy_change is None else variant.accuracy_change.difference
