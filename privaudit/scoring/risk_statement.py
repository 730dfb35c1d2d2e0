"""From an attack's ROC and a prior to what it means for people: how often an accusation is right, and how many.

A false positive rate says nothing by itself: at 1% of false alarms, an attacker who asks of a thousand people of whom
ten were trained on names ten others. With a share π of those he asks of trained on, Bayes' rule gives

    P(trained on | named) = π·TPR / (π·TPR + (1 − π)·FPR).
"""

from __future__ import annotations

from collections.abc import Sequence

from privaudit.results.audit.score_results import Exposure
from privaudit.results.measures import Attack, Interval
from privaudit.results.statement.risk_statement import Accusation, RiskStatement

#: Where no prior is declared: from a coin to one in a thousand.
PRIORS = (0.5, 0.1, 0.01, 0.001)


def accusation(prior: float, fpr: float, tpr: float, tpr_ci: Interval | None, people: int) -> Accusation:
    """Tell what naming everybody above one threshold comes to.

    The precision rises with the TPR, so its interval is that of the TPR, carried over. The FPR is what the attacker
    sets, and taken as known.

    Parameters
    ----------
    prior
        In (0, 1).
    fpr, tpr, tpr_ci
        Of the attack, in [0, 1].
    people
        How many were trained on; (1 − π)/π as many others are asked of beside them.
    """
    bounds = None if tpr_ci is None else (_precision(prior, fpr, tpr_ci[0]), _precision(prior, fpr, tpr_ci[1]))
    return Accusation(
        prior=prior,
        fpr=fpr,
        tpr=tpr,
        tpr_ci=tpr_ci,
        precision=_precision(prior, fpr, tpr),
        precision_ci=None if bounds is None or bounds[0] is None or bounds[1] is None else (bounds[0], bounds[1]),
        right=people * tpr,
        right_ci=None if tpr_ci is None else (people * tpr_ci[0], people * tpr_ci[1]),
        wrong=people * (1 - prior) / prior * fpr,
    )


def _precision(prior: float, fpr: float, tpr: float) -> float | None:
    named = prior * tpr + (1 - prior) * fpr
    return prior * tpr / named if named > 0 else None


def accusations(attack: Attack, people: int, priors: Sequence[float] = PRIORS) -> list[Accusation]:
    """Return the accusations at every rate that the attack resolves, by falling prior and rate."""
    return [
        accusation(prior, float(rate), tpr, attack.tpr_ci[rate], people)
        for prior in priors
        for rate, tpr in attack.tpr_at_fpr.items()
        if tpr is not None
    ]


def risk_statement(
    attack: Attack, people: int, groups: dict[str, Exposure], priors: Sequence[float] | None = None
) -> RiskStatement:
    """Return what the attack means for the people of an audit, and for each group that it was measured in.

    Parameters
    ----------
    attack
        The one that the audit fixed beforehand.
    people
        Training samples.
    groups
        Exposure by property, as in the results.
    priors
        The user's; None: `PRIORS`.
    """
    chosen = PRIORS if priors is None else priors
    return RiskStatement(
        people=people,
        declared=priors is not None,
        accusations=accusations(attack, people, chosen),
        groups={
            f"{name}: {group.name}": accusations(group.attack, group.samples, chosen)
            for name, exposure in groups.items()
            for group in exposure.groups
            if group.attack is not None
        },
    )
