"""Arms: how a forget set is handed over, with whose parameters, at what budget."""

from __future__ import annotations

from typing import Literal

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from privaudit.config import Sequencing
from privaudit.reproduction.claims.catalogue import CATALOGUE
from privaudit.reproduction.claims.experiment import STRICT, Experiment
from privaudit.unlearning.application.run_method import Request
from privaudit.unlearning.base import UNLEARNERS, Unlearner
from privaudit.unlearning.parameters import Parameters, with_changes

#: The paper's nested groups: five.
GROUPS = 5

#: So many cycles at most, where evidence ends a run.
CYCLES = 3


@dataclass(frozen=True, config=STRICT)
class Arm:
    """One way to hand a forget set over.

    Parameters
    ----------
    means
        In words, for the report.
    tuned
        Whose parameters: ``none`` the method's defaults, ``own`` those that did best in this very arm on other seeds'
        data, ``one-shot`` those that did best in the one-shot arm.
    order, descending, budget
        As in `Sequencing`.
    passes
        Times as many passes as the method has by default.
    by_evidence
        In cycles, until D_u looks never-seen: of methods that have cycles.
    """

    means: str
    tuned: str
    order: str = "none"
    descending: bool = False
    budget: Literal["matched", "per-stage"] = "matched"
    passes: float = 1.0
    by_evidence: bool = False

    @property
    def sequencing(self) -> Sequencing:
        """Order, groups, budget."""
        return Sequencing(order=self.order, descending=self.descending, groups=GROUPS, budget=self.budget)


#: Every arm by name.
ARMS = TypeAdapter(dict[str, Arm]).validate_python(CATALOGUE["arms"])


def means_of(experiment: Experiment) -> dict[str, str]:
    """The arms of an experiment in words; none where nothing is unlearned."""
    return {arm: ARMS[arm].means for arm in experiment.arms} if experiment.methods else {}


def is_for(arm: Arm, method: str) -> bool:
    """Whether a method can be run in an arm: some are handed no forget samples, and few have cycles."""
    unlearner: type[Unlearner] = UNLEARNERS.load(method)
    if arm.by_evidence:
        return hasattr(unlearner.defaults, "cycles")
    return unlearner.takes_forget_steps


def arms_of(experiment: Experiment, method: str, *, all_budgets: bool) -> tuple[str, ...]:
    """The arms that a method is run in: the first, and whatever others fit it; of further budgets if asked."""
    asked = [arm for arm in experiment.arms[1:] if is_for(ARMS[arm], method)]
    further = [arm for arm in asked if ARMS[arm].tuned == "own" and ARMS[arm].passes != 1]
    return (*experiment.arms[:1], *(arm for arm in asked if all_budgets or arm not in further))


def default_parameters(method: str, arm: Arm) -> Parameters:
    """A method's own parameters, at the budget of the arm."""
    defaults: Parameters = UNLEARNERS.load(method).defaults
    return defaults.times(arm.passes)


def request(method: str, arm: Arm, parameters: Parameters) -> Request:
    """What is to be done in this arm."""
    unlearner: type[Unlearner] = UNLEARNERS.load(method)
    sequencing = arm.sequencing if unlearner.takes_forget_steps else Sequencing(order="none", groups=GROUPS)
    if arm.by_evidence:
        parameters = with_changes(parameters, {"cycles": CYCLES})
    return Request(method, parameters, sequencing, 0, by_evidence=arm.by_evidence)
