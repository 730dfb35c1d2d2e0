"""The section on sensitive columns: what is guessed with the model and without it, of records it saw and of others."""

from __future__ import annotations

from privaudit.report.content import figure_data
from privaudit.report.content.elements import Figure, Section, Table, tabulate
from privaudit.report.content.inferred.attribute_wording import points, verdict
from privaudit.report.content.texts import terms, text, texts
from privaudit.report.content.wording import clip, percent, share
from privaudit.report.drawing.line_styles import at
from privaudit.results.audit.attribute_results import (
    PRIMARY,
    Advantage,
    AttributeAttack,
    AttributeInference,
    AttributeResults,
    GroupAdvantage,
)

ANCHOR = "attributes"

#: Values and classes of a column that are told.
MOST_ROWS = 12


def section(found: AttributeResults) -> Section:
    """Return the section."""
    said = [f"{clip(one.column, 40)}: {verdict(one)}." for one in found.columns]
    return Section(
        ANCHOR,
        "What the model gives away of sensitive columns",
        [
            *texts("attributes.how"),
            *(_of_column(one) for one in found.columns),
            *(f"Note on {clip(one.column, 40)}: {note}." for one in found.columns for note in one.notes),
            text("attributes.several") if len(found.columns) > 1 else text("attributes.single"),
        ],
        [table for one in found.columns for table in _tables(one)],
        [_figure(found)],
        lead=" ".join(said),
    )


def _of_column(one: AttributeInference) -> str:
    drawn = "" if one.drawn_of is None else f", drawn at random from {one.drawn_of:,}"
    missing = f"; {one.left_out:,} records without a value are left out" if one.left_out else ""
    kind = "ranges of numbers" if one.binned else "values"
    target = one.primary.target
    of_target = (
        "" if target is None else f" With the target's own answers {percent(target)} of its training records are right."
    )
    return (
        f"{clip(one.column, 40)}: {one.records:,} records{drawn}, {len(one.values)} {kind} "
        f"({'; '.join(clip(value, 30) for value in one.values)}){missing}. Without a model: {one.imputation}, learnt "
        f"from {one.held_out:,} records that no model saw.{of_target}"
    )


def _tables(one: AttributeInference) -> list[Table]:
    attacks = terms("attributes.attacks")
    rows: list[tuple[str, AttributeAttack]] = [(attacks[name], attack) for name, attack in one.attacks.items()]
    names = {"imputation": "No model: the other columns and the class", "marginal": "No model: the commonest value"}
    without = [[names[name], share(found.rate), share(found.rate), "0", "–"] for name, found in one.without.items()]
    columns = ["Attacker", "Right, trained on", "Right, not trained on", "Advantage", "Advantage, surest tenth"]
    shown = [
        [title, share(attack.seen), share(attack.unseen), points(attack), points(attack.surest)]
        for title, attack in rows
    ]
    tables = [Table(f"Guesses of {clip(one.column, 40)}", columns, [*shown, *without])]
    groups = [*_few("Value", one.by_value), *_few("Class", one.by_class)]
    if groups:
        tables.append(
            tabulate(
                f"Guesses of {clip(one.column, 40)} by value and by class, by the attack that was fixed beforehand",
                groups,
                {
                    "Of": lambda row: f"{row[0]} {clip(row[1].name, 30)}",
                    "Records": lambda row: f"{row[1].records:,}",
                    "Right, trained on": lambda row: share(row[1].seen),
                    "Right, not trained on": lambda row: share(row[1].unseen),
                    "Advantage": lambda row: points(row[1]),
                },
            )
        )
    return tables


def _few(what: str, groups: list[GroupAdvantage]) -> list[tuple[str, GroupAdvantage]]:
    first = sorted(groups, key=lambda one: -(one.advantage or 0.0))[:MOST_ROWS]
    return [(what, one) for one in first]


def _figure(found: AttributeResults) -> Figure:
    rows: list[figure_data.Bar] = []
    for one in found.columns:
        rows.append(figure_data.Bar(name=one.column, values=[_estimate(one.attacks[PRIMARY])]))
        worst = sorted(one.by_value, key=lambda group: -(group.advantage or 0.0))[: MOST_ROWS // 2]
        rows += [figure_data.Bar(name=f"· {group.name}", values=[_estimate(group)]) for group in worst]
    return Figure(
        "bars",
        f"{text('attributes.figure')} {at('bars', 'no advantage')}",
        "; ".join(f"{one.column}: advantage {points(one.primary)}" for one in found.columns),
        figure_data.Bars(across="right of trained on less right of others", of="Column", guessing=0.0, rows=rows),
    )


def _estimate(found: Advantage) -> figure_data.Estimate | None:
    return None if found.advantage is None else figure_data.Estimate.of(found.advantage, found.ci)
