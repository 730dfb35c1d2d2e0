"""Arms: how a forget set is handed over, with whose parameters, at what budget."""

from __future__ import annotations

from dataclasses import dataclass

from privaudit.config import Sequencing
from privaudit.reproduction.claims.experiment import ONE_SHOT
from privaudit.unlearning.application.run_method import Request
from privaudit.unlearning.base import UNLEARNERS, Unlearner
from privaudit.unlearning.parameters import Parameters

#: The paper's nested groups: five.
GROUPS = 5

#: How often nested groups of equal growth show a forget sample, in passes, for each pass of a one-shot run.
NESTED_PASSES = (GROUPS + 1) / 2


@dataclass(frozen=True)
class Arm:
    """One way to hand a forget set over.

    Parameters
    ----------
    sequencing
        Order, groups, budget.
    tuned
        Whose parameters: ``none`` the method's defaults, ``own`` those that did best in this very arm on other seeds'
        data, ``one-shot`` those that did best in the one-shot arm.
    passes
        Times as many passes as the method has by default.
    means
        In words, for the report.
    """

    sequencing: Sequencing
    tuned: str
    means: str
    passes: float = 1.0


_ONE = Sequencing(order="none", groups=GROUPS)
_RISK = Sequencing(order="risk", groups=GROUPS)

#: Every arm by name.
ARMS = {
    ONE_SHOT: Arm(_ONE, "none", "all at once, the method's default parameters"),
    "RSU as written": Arm(
        Sequencing(order="loss", groups=GROUPS, budget="per-stage"),
        "none",
        "nested groups by rising loss, the method's passes at every stage (so three times the gradients)",
    ),
    "one-shot, longer": Arm(_ONE, "none", "all at once, at the budget of RSU as written", NESTED_PASSES),
    "reverse as written": Arm(
        Sequencing(order="loss", descending=True, groups=GROUPS, budget="per-stage"),
        "none",
        "the same from high loss to low",
    ),
    "one-shot, tuned": Arm(_ONE, "own", "all at once, tuned"),
    "random groups": Arm(_RISK.changed(order="random"), "own", "nested random groups, matched budget, tuned"),
    "reverse": Arm(_RISK.changed(descending=True), "own", "nested groups by falling risk, matched budget, tuned"),
    "RSU": Arm(_RISK, "own", "nested groups by rising risk, matched budget, tuned"),
    "at once": Arm(_ONE, "one-shot", "all at once, tuned"),
    "risk": Arm(_RISK, "one-shot", "by rising risk, with the parameters of the one-shot run"),
    "risk descending": Arm(_RISK.changed(descending=True), "one-shot", "by falling risk, with those parameters"),
    "random order": Arm(_RISK.changed(order="random"), "one-shot", "in random groups, with those parameters"),
}


def default_parameters(method: str, arm: Arm) -> Parameters:
    """A method's own parameters, at the budget of the arm."""
    defaults: Parameters = UNLEARNERS.load(method).defaults
    return defaults.times(arm.passes)


def request(method: str, arm: Arm, parameters: Parameters) -> Request:
    """What is to be done in this arm."""
    unlearner: type[Unlearner] = UNLEARNERS.load(method)
    sequencing = arm.sequencing if unlearner.takes_forget_steps else _ONE
    return Request(method, parameters, sequencing, 0)
