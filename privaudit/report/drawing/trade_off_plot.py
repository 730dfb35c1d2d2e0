"""Risk against accuracy: a point a measure, with both intervals, and the front that none of them is beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privaudit.report.content.elements import Table
from privaudit.report.content.figure_data import Estimate, TradeOff
from privaudit.report.content.wording import percent
from privaudit.report.drawing.line_styles import NOTHING, options

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

ACCENT, AUDITED, QUIET = "#1b6ca8", "#b5501a", "#6b7885"


def draw_trade_off(figure: Canvas, data: TradeOff) -> None:
    """Draw accuracy across and risk up; each point has its number in the table."""
    axes = figure.subplots()
    for number, point in enumerate(data.points):
        x, y = point.across, point.up
        colour = AUDITED if number == 0 else ACCENT if point.on_front else QUIET
        if x.low is not None and x.high is not None:
            axes.plot([x.low, x.high], [y.value, y.value], color=colour, linewidth=0.9, alpha=0.7)
        if y.low is not None and y.high is not None:
            axes.plot([x.value, x.value], [y.low, y.high], color=colour, linewidth=0.9, alpha=0.7)
        marker = "s" if number == 0 else "o" if point.on_front else "^"
        axes.plot([x.value], [y.value], marker=marker, markersize=5.5, color=colour, linestyle="none")
        axes.annotate(
            str(number), (x.value, y.value), textcoords="offset points", xytext=(5, 4), fontsize=8.5, color=colour
        )
    front = sorted((point.across.value, point.up.value) for point in data.points if point.on_front)
    if len(front) > 1:
        axes.step([x for x, _ in front], [y for _, y in front], where="pre", color=ACCENT, linewidth=1.0, alpha=0.6)
    axes.axhline(data.guessing, **options(NOTHING["trade-off"], QUIET))
    axes.set(xlabel=data.name_across, ylabel=data.name_up)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


def table_of_trade_off(caption: str, data: TradeOff) -> Table:
    """Every point by its number."""

    def said(value: Estimate) -> str:
        if value.low is None or value.high is None:
            return percent(value.value)
        return f"{percent(value.value)} ({percent(value.low)} to {percent(value.high)})"

    rows = [
        [str(number), point.name, said(point.across), said(point.up), "yes" if point.on_front else "no"]
        for number, point in enumerate(data.points)
    ]
    columns = ["Number", "Measure", data.name_across.capitalize(), data.name_up.capitalize(), "On the front"]
    return Table(caption, columns, rows)
