"""Which variations of an estimator are tried: what makes it fit its rows less closely, and the plainest one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from privaudit.estimators.build import ESTIMATORS, build_estimator, is_expression
from privaudit.objects.estimator_text import estimator_text

#: The plainest estimator, which has little room to memorise.
PLAIN = "logistic-regression"


@dataclass(frozen=True)
class Gentler:
    """One parameter of an estimator, and by which value it fits less closely.

    Parameters
    ----------
    name, title
        Of the variation.
    parameter
        Of the estimator.
    value
        What it becomes at least (or at most, where ``is_most``).
    factor
        It becomes so many times what it is, where that goes further; 1 for ``value`` alone.
    is_most
        Whether less of it fits less closely.
    usual
        What None stands for.
    """

    name: str
    title: str
    parameter: str
    value: float
    is_most: bool = False
    factor: float = 1.0
    usual: float | None = None

    def changed(self, given: Any) -> int | float | None:
        """Return its new value; None where the estimator is there already, or it has a value that is no number."""
        now = self.usual if given is None else given
        if isinstance(now, str | bool) or not isinstance(now, int | float | None):
            return None
        goal = self.value if now is None or self.factor == 1 else self.factor * now
        if now is not None and (goal >= now if self.is_most else goal <= now):
            return None
        return int(goal) if isinstance(self.value, int) else float(f"{goal:g}")


def _leaves(parameter: str, *values: int) -> tuple[Gentler, ...]:
    return tuple(Gentler(f"leaves-of-{one}", f"leaves of {one} rows and more", parameter, one) for one in values)


def _fewer_trees(parameter: str, usual: int | None = None) -> Gentler:
    return Gentler("fewer-trees", "a quarter of the rounds", parameter, 25, is_most=True, factor=0.25, usual=usual)


def _smaller_trees(parameter: str, value: int, title: str) -> Gentler:
    return Gentler("smaller-trees", title, parameter, value, is_most=True)


_FOREST = (*_leaves("min_samples_leaf", 10, 30), _smaller_trees("max_depth", 6, "trees at most six splits deep"))
_PENALTY = tuple(
    Gentler(f"penalty-{times}", f"{times} times the penalty", "C", 0.1, is_most=True, factor=1 / times)
    for times in (10, 100)
)

#: By class of the estimator, without its module.
GENTLER: Mapping[str, tuple[Gentler, ...]] = {
    "RandomForestClassifier": _FOREST,
    "ExtraTreesClassifier": _FOREST,
    "DecisionTreeClassifier": _FOREST,
    "HistGradientBoostingClassifier": (
        _fewer_trees("max_iter"),
        *_leaves("min_samples_leaf", 100),
        _smaller_trees("max_leaf_nodes", 7, "trees of seven leaves"),
    ),
    "GradientBoostingClassifier": (
        _fewer_trees("n_estimators"),
        *_leaves("min_samples_leaf", 30),
        _smaller_trees("max_depth", 2, "trees at most two splits deep"),
    ),
    "XGBClassifier": (
        _fewer_trees("n_estimators", 100),
        Gentler("heavier-leaves", "leaves of a weight of 20 and more", "min_child_weight", 20, usual=1),
        _smaller_trees("max_depth", 3, "trees at most three splits deep"),
    ),
    "LGBMClassifier": (
        _fewer_trees("n_estimators"),
        *_leaves("min_child_samples", 100),
        _smaller_trees("num_leaves", 7, "trees of seven leaves"),
    ),
    "LogisticRegression": _PENALTY,
    "SVC": _PENALTY,
    "KNeighborsClassifier": (Gentler("more-neighbours", "25 neighbours", "n_neighbors", 25),),
}


def estimator_variations(name: str) -> list[tuple[str, str, str]]:
    """Return name, title and expression of each variation that suits an estimator; none of one that a function makes.

    Parameters
    ----------
    name
        As it was audited: a name, a function, or an expression.
    """
    if not (is_expression(name) or ESTIMATORS.is_ours(name)):
        return []
    made = build_estimator(name)
    found: list[tuple[str, str, str]] = []
    steps = getattr(made, "steps", None)
    prefix, last = (f"{steps[-1][0]}__", steps[-1][1]) if steps else ("", made)
    for one in GENTLER.get(type(last).__name__, ()):
        value = one.changed(last.get_params(deep=False).get(one.parameter))
        if value is not None:
            text = estimator_text(build_estimator(name).set_params(**{prefix + one.parameter: value}))
            found.append((one.name, f"{one.title} ({one.parameter}={value:g})", text))
    if type(last).__name__ != "LogisticRegression":
        found.append((PLAIN, "logistic regression", PLAIN))
    return found
