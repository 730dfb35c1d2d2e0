"""What a sceptic asks of the attacks: rates that each sample keeps by itself, and what all attacks together find."""

from __future__ import annotations

from privaudit.report.content.elements import Table
from privaudit.report.content.texts import texts
from privaudit.report.content.wording import interval, percent, percent_within
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.measures import UnionRate

COLUMNS = ["Who is named", "False alarms asked for", "Named, of those seen", "Named, of those not seen"]


def said_to_sceptics(results: ScoreResults) -> tuple[list[str], list[Table]]:
    """Return paragraphs and the table; nothing where earlier results have neither measure."""
    rows = [row for name in ("0.01", "0.001") for row in _rows(results, name)]
    if not rows:
        return [], []
    return texts("sceptic.how"), [Table("False alarms, counted otherwise", COLUMNS, rows)]


def _rows(results: ScoreResults, name: str) -> list[list[str]]:
    asked, pooled = f"{100 * float(name):g}%", results.attacks["lira"]
    found = []
    own = (results.calibrated or {}).get(name)
    union = None if results.union is None else results.union.at_fpr.get(name)
    if own is None and union is None:
        return []
    if (tpr := pooled.tpr_at_fpr.get(name)) is not None:
        bounds = f" ({interval(pooled.tpr_ci[name], percent)})"
        found.append(["by the first attack, one threshold for all samples", asked, percent(tpr) + bounds, f"≤ {asked}"])
    if own is not None:
        rates = (percent_within(own.tpr, own.tpr_ci), percent_within(own.fpr, own.fpr_ci))
        found.append(["by the margin, a threshold for each sample", asked, *rates])
    if union is not None and results.union is not None:
        found += _of_union(union, len(results.union.attacks), asked)
    return found


def _of_union(union: UnionRate, attacks: int, asked: str) -> list[list[str]]:
    alone = (
        (union.tpr_if_each_had_it, union.tpr_if_each_had_it_ci),
        (union.fpr_if_each_had_it, union.fpr_if_each_had_it_ci),
    )
    together = percent_within(union.tpr, union.tpr_ci)
    return [
        [f"by any of {attacks} attacks, {asked} for all together", asked, together, percent(union.fpr)],
        [f"by any of {attacks} attacks, {asked} for each", asked, *(percent_within(*one) for one in alone)],
    ]
