"""The verdicts as a forest plot: claim by claim, data sets side by side, before any table."""

from __future__ import annotations

from privaudit.report.content.elements import Figure, Section
from privaudit.report.content.figure_data import Estimate, Forest, ForestCell, ForestRow
from privaudit.report.drawing import line_styles
from privaudit.report.reproduction import reproduction_tables as tables
from privaudit.report.reproduction.reproduction_texts import TEXTS
from privaudit.results.reproduction_results import Decision, Effect, ExperimentResults, PairedContrast, StudyResults

#: Data sets beside each other in one drawing: with more, none would be legible on a phone.
MOST_COLUMNS = 3

#: Claims below each other in one drawing: with more, it would leave the page before it empty in print.
MOST_ROWS = 6


def verdict_section(studies: list[StudyResults]) -> list[Section]:
    """Return the section that shows every verdict, drawn and then as a table; none where nothing is claimed."""
    table = tables.verdicts(studies)
    if table is None:
        return []
    asked = [study for study in studies if study.verdicts.by_experiment]
    figures = []
    for start in range(0, len(asked), MOST_COLUMNS):
        part = asked[start : start + MOST_COLUMNS]
        rows = [row for name, claim in TEXTS.claims.items() for row in _rows(name, claim, part) if _is_drawn(row)]
        figures += [_forest(part, rows[first : first + MOST_ROWS]) for first in range(0, len(rows), MOST_ROWS)]
    return [Section("verdicts", "The verdicts", [TEXTS.sentences["forest"]], [table], figures)]


def _is_drawn(row: ForestRow) -> bool:
    """Tell whether there is anything to draw: what was run nowhere stands in the table of verdicts alone."""
    return any(value is not None for cell in row.cells if cell is not None for value in cell.values)


def _forest(studies: list[StudyResults], rows: list[ForestRow]) -> Figure:
    columns = [tables.title_of(study.about) for study in studies]
    said = "; ".join(
        f"{row.name}: " + ", ".join(_in_words(where, cell) for where, cell in zip(columns, row.cells, strict=True))
        for row in rows
    )
    return Figure(
        "forest",
        f"{TEXTS.captions['forest']} {line_styles.at('forest', 'no difference')}",
        f"Forest plot of {len(rows)} claims, each on {', '.join(columns)}. Under the controlled protocol {said}.",
        Forest(columns=columns, series=list(tables.PROTOCOLS.values()), rows=rows),
    )


def _rows(name: str, claim: str, studies: list[StudyResults]) -> list[ForestRow]:
    """One claim, and a row for each further protocol that it was asked under; none where no data set was asked."""
    found = [(study.experiment(name), study.verdicts.by_experiment.get(name, {})) for study in studies]
    title = next((results.title for results, _ in found if results is not None), None)
    if title is None:
        return []
    rows = [_row(f"{title}: {claim}", [*tables.PROTOCOLS], found)]
    for protocol in tables.further_protocols(results for results, _ in found):
        rows.append(_row(f"{title}, {tables.FURTHER[protocol]}", ["", protocol], found))
    return rows


def _row(
    name: str, protocols: list[str], found: list[tuple[ExperimentResults | None, dict[str, Decision]]]
) -> ForestRow:
    """One row; a protocol without a name leaves its place empty."""
    contrasts = [results.contrasts.get(protocol) for results, _ in found if results for protocol in protocols]
    # Of what one audit answers nothing is called worth having beforehand; else both protocols have the same margin, or
    # the last one counts.
    worth = [one.worth_having for one in contrasts if isinstance(one, PairedContrast)]
    cells = [
        None
        if results is None
        else ForestCell(
            values=[_estimate(results.contrasts.get(protocol)) for protocol in protocols],
            verdicts=[decided[one].verdict if one in decided else "not run" if one else "" for one in protocols],
        )
        for results, decided in found
    ]
    return ForestRow(name=name, worth=worth[-1] if worth else None, cells=cells)


def _estimate(contrast: Effect | None) -> Estimate | None:
    return None if contrast is None else Estimate.of(contrast.mean, contrast.ci)


def _in_words(where: str, cell: ForestCell | None) -> str:
    return f"{where}: {'not run' if cell is None else cell.verdicts[-1]}"
