"""What an attack means for people: the accusations that it allows, by how many of those it asks of were trained on."""

from __future__ import annotations

from privaudit.results.base import Result
from privaudit.results.measures import Interval


class Accusation(Result):
    """Everybody is named whom the attack scores above the threshold of one false positive rate.

    Parameters
    ----------
    prior
        The share of those whom the attacker asks of that was trained on, in (0, 1).
    fpr, tpr, tpr_ci
        Of the attack at that threshold.
    precision, precision_ci
        How many of the named were trained on, as a share; None where nobody is named.
    right, right_ci
        How many of the training samples are named.
    wrong
        How many others are named, beside them.
    """

    prior: float
    fpr: float
    tpr: float
    tpr_ci: Interval | None
    precision: float | None
    precision_ci: Interval | None
    right: float
    right_ci: Interval | None
    wrong: float


class RiskStatement(Result):
    """The accusations by prior and false positive rate; ``declared`` says whether the prior is the user's."""

    people: int
    declared: bool
    accusations: list[Accusation]
    groups: dict[str, list[Accusation]]
