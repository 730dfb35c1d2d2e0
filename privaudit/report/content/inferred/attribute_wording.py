"""What is said of guesses of a sensitive column."""

from __future__ import annotations

from privaudit.report.content.wording import clip, share
from privaudit.results.audit.attribute_results import Advantage, AttributeInference, AttributeResults

#: Columns that one sentence names.
NAMED = 2


def points(found: Advantage) -> str:
    """The advantage in points of a percentage, with its interval."""
    if found.advantage is None:
        return "–"
    bounds = "no interval" if found.ci is None else f"95% {100 * found.ci[0]:+.1f} to {100 * found.ci[1]:+.1f}"
    if found.ci is not None and found.ci[0] == found.ci[1]:
        bounds = "the same without any pair of models"  # No interval of no width: it would look sure.
    return f"{100 * found.advantage:+.1f} points ({bounds})"


def line(found: AttributeInference) -> str:
    """One line for the terminal."""
    best, without = found.primary, found.without["imputation"].rate
    return (
        f"'{found.column}' guessed with the model: right for {share(best.seen)} of records trained on, "
        f"{share(best.unseen)} of others, {points(best)}; without any model {share(without)}"
    )


def verdict(found: AttributeInference) -> str:
    """Whether the model gives away more of those that it saw."""
    if found.leaks is None:
        return "too few shadow models to say whether training gave anything of it away"
    if found.leaks:
        return "training gave it away of those trained on, beyond what holds of everybody"
    return "nothing is shown to be given away of those trained on that does not hold of everybody"


def in_brief(results: AttributeResults) -> str:
    """One sentence for the first two pages, in plain words."""
    told = sorted(results.columns, key=lambda one: -(one.primary.advantage or 0.0))
    parts = []
    for one in told[:NAMED]:
        best, without = one.primary, one.without["imputation"].rate
        bounds = "" if best.ci is None else f" (95% range {100 * best.ci[0]:.1f} to {100 * best.ci[1]:.1f})"
        more = "" if best.advantage is None else f", {100 * best.advantage:.1f} points more{bounds}"
        if best.ci is not None and best.ci[0] <= 0 <= best.ci[1]:
            more += ", which chance would explain"
        parts.append(
            f"“{clip(one.column, 30)}” is guessed rightly of {share(best.seen)} of the people trained on and of "
            f"{share(best.unseen)} of others{more}; without the model, of {share(without)}"
        )
    rest = f"; {len(told) - NAMED:,} more in the annex" if len(told) > NAMED else ""
    return (
        f"Guessing what is not known of a person from the rest of the record was attempted: {'; '.join(parts)}{rest}."
    )
