"""What is said of reconstructed classes."""

from __future__ import annotations

from privaudit.report.content.wording import interval, number, percent
from privaudit.results.audit.class_results import ClassResults


def line(found: ClassResults) -> str:
    """One line for the terminal."""
    null = found.null["class_mean_of_others"]
    return (
        f"classes reconstructed from {found.models} models: recognised {percent(found.found.recognised.rate or 0.0)}; "
        f"nearness tells members with AUC {number(found.found.auc)} ({interval(found.found.auc_ci)}), a class mean of "
        f"others with {number(null.auc)}"
    )


def verdict(found: ClassResults) -> str:
    """Whether reconstructions are nearer to members."""
    if found.leaks is None:
        return "too few shadow models to say whether reconstructions are nearer to what the model saw"
    if found.leaks:
        return "reconstructions are nearer to samples that the model saw than to others of the class"
    return "reconstructions are not shown to be nearer to samples that the model saw than to others of the class"


def in_brief(found: ClassResults) -> str:
    """One sentence for the first two pages, in plain words."""
    one = found.found
    span = "" if one.auc_ci is None else f" (95% range {percent(one.auc_ci[0])[:-1]}–{percent(one.auc_ci[1])})"
    told = {
        True: "so it gives away something of the records that it was trained on",
        False: "so it is not shown to be the look of anybody in particular",
        None: "and there are too few comparison models to say more",
    }[found.leaks]
    return (
        "Reconstructing from the model what a whole class looks like was attempted: of two records of the class, one "
        f"of which was trained on, it comes nearer to that one in {percent(one.auc)} of cases{span}, where chance "
        f"gives 50%, {told}."
    )
