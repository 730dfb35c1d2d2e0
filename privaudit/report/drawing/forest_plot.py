"""Forest plots: what decides each claim, with its interval, beside zero and beside what is worth having."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privaudit.report.content.elements import Table
from privaudit.report.content.figure_data import Estimate, Forest, ForestRow
from privaudit.report.drawing.fonts import plain
from privaudit.report.drawing.line_styles import NOTHING, options

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

#: Of the series in turn: colour and marker, those of other figures.
SERIES = (("#1b6ca8", "o"), ("#b5501a", "s"))

QUIET = "#6b7885"

#: How a marker is filled, by verdict: decided for the claim, decided against it, not decided.
FILLED = {"supported": "full", "not supported": "none"}
UNDECIDED = "left"

#: Inches of a claim with its title and its scale, and of what stands above and below all claims.
ROW_HEIGHT, REST = 0.7, 0.55


def height_of(data: Forest) -> float:
    """Return the height of the drawing, in inches."""
    return REST + ROW_HEIGHT * len(data.rows)


def draw_forest(figure: Canvas, data: Forest) -> None:
    """Draw a claim a row, its data sets beside each other on one scale; scales of different claims are not alike."""
    import matplotlib.lines

    grid = figure.subplots(len(data.rows), len(data.columns), squeeze=False, sharex="row")
    for place, (row, line) in enumerate(zip(data.rows, grid, strict=True)):
        for column, axes in enumerate(line):
            _draw_cell(axes, row, column, len(data.series))
            if place == 0:
                axes.set_title(f"{plain(data.columns[column], 24)}\n", fontsize=8, pad=3, fontweight="bold")
        # A claim's words may run over all of its data sets: a title takes no width from the layout.
        line[0].set_title(plain(row.name, 90), loc="left", fontsize=7.5, pad=3)
    keys = [
        matplotlib.lines.Line2D([], [], color=colour, marker=marker, markersize=4.5, linestyle="none", label=name)
        for name, (colour, marker) in zip(data.series, SERIES, strict=False)
    ]
    figure.legend(handles=keys, loc="outside upper left", ncols=len(keys), fontsize=8)


def _draw_cell(axes: Axes, row: ForestRow, column: int, series: int) -> None:
    axes.axvline(0, **options(NOTHING["forest"], QUIET))
    if row.worth:
        axes.axvspan(0, row.worth, color=QUIET, alpha=0.3, linewidth=0)
    cell = row.cells[column]
    if cell is None or not any(cell.values):
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", va="center", fontsize=7, color=QUIET)
    else:
        for index, (value, verdict) in enumerate(zip(cell.values, cell.verdicts, strict=True)):
            colour, marker = SERIES[index % len(SERIES)]
            if value is None:
                continue
            if value.low is not None and value.high is not None:
                axes.plot([value.low, value.high], [-index, -index], color=colour, linewidth=1.3)
            axes.plot(
                [value.value], [-index], linestyle="none", marker=marker, markersize=5, color=colour,
                fillstyle=FILLED.get(verdict, UNDECIDED), markerfacecoloralt="none",
            )  # fmt: skip
    axes.set(ylim=(0.6 - series, 0.6), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", labelsize=7, length=2.5, pad=1.5)
    if any(value for one in row.cells if one is not None for value in one.values):
        axes.locator_params(axis="x", nbins=3)
    else:
        # A claim that was run nowhere has no scale.
        axes.set_xticks([])
    axes.margins(x=0.08)


def table_of_forest(caption: str, data: Forest) -> Table:
    """Every claim on every data set: estimate, interval, the smallest difference worth having, and the verdict."""

    def said(value: Estimate | None, verdict: str) -> str:
        if value is None:
            return verdict or "–"
        bounds = "" if value.low is None else f" ({value.low:+.3f} to {value.high:+.3f})"
        return f"{verdict}: {value.value:+.3f}{bounds}"

    rows = []
    for row in data.rows:
        for name, cell in zip(data.columns, row.cells, strict=True):
            told = ["not run"] * len(data.series) if cell is None else list(map(said, cell.values, cell.verdicts))
            rows.append([row.name, name, *told, "–" if row.worth is None else f"{row.worth:g}"])
    return Table(caption, ["Claim", "Data", *data.series, "Worth having"], rows)
