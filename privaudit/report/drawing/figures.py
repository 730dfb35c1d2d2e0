"""Figures as SVG, drawn once for both renderings, each with the table that says the same.

A new kind of figure is one entry of `DRAWINGS`: a function that draws on a matplotlib figure and, where its figures do
not each bring a table, one that makes it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from privaudit.report.content import figure_data
from privaudit.report.content.elements import Figure, Section, Table
from privaudit.report.drawing import figure_tables, forest_plot, inversion_figures, trade_off_plot
from privaudit.report.drawing.fonts import plain
from privaudit.report.drawing.line_styles import CURVES, NOTHING, options

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure as Canvas

INK = "#1f2933"
ACCENT = "#1b6ca8"
COLOURS = (ACCENT, "#b5501a", "#4f7326", "#7a4d9e")
MARKERS = ("o", "s", "D", "^")
QUIET = "#6b7885"

#: Of one drawing, in inches: at a phone's width its text is still legible.
WIDTH, HEIGHT = 4.8, 2.9

#: Of one of several panels.
PANEL_WIDTH = 3.2

#: As matplotlib's settings have it.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "privaudit",
    "font.size": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}

Data = TypeVar("Data", bound=figure_data.FigureData)


@dataclass(frozen=True)
class Drawing(Generic[Data]):
    """How one kind of figure is drawn and put into a table.

    Parameters
    ----------
    data
        The data's type.
    draw
        Draws the data on a matplotlib figure.
    tabulate
        Makes the table behind it from the figure's caption and data; None where each figure brings its own.
    height
        In inches, of one drawing; of bars and of a forest it depends on their number.
    shows_samples
        Whether it shows samples themselves: then no report has it but with ``--show-samples``.
    """

    data: type[Data]
    draw: Callable[[Canvas, Data], None]
    tabulate: Callable[[str, Data], Table] | None = None
    height: float = HEIGHT
    shows_samples: bool = False


def draw(kind: str, data: figure_data.FigureData, width: float = WIDTH) -> str:
    """Draw one figure; the same data gives the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(STYLE):
        figure = Canvas(figsize=(width, height_of(kind, data)), layout="constrained")
        DRAWINGS[kind].draw(figure, data)
        stream = io.StringIO()
        # Without metadata the drawing holds no date and no address.
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", metadata=nothing, transparent=True)
    svg = stream.getvalue()
    return svg[svg.index("<svg") :]


def height_of(kind: str, data: figure_data.FigureData) -> float:
    """Return the height of one drawing, in inches."""
    if isinstance(data, figure_data.Bars):
        return 0.75 + (0.37 if kind == "shares" else 0.27) * len(data.rows)
    return forest_plot.height_of(data) if isinstance(data, figure_data.Forest) else DRAWINGS[kind].height


def drawings(figure: Figure) -> list[str]:
    """Every drawing of a figure: one a panel where it has panels, so that they can stand beside or below each other."""
    if not isinstance(figure.data, figure_data.Panels):
        return [draw(figure.kind, figure.data)]
    panels = figure.data.panels
    width = WIDTH if len(panels) == 1 else PANEL_WIDTH
    return [draw(figure.kind, figure.data.model_copy(update={"panels": [panel]}), width) for panel in panels]


def table_behind(figure: Figure) -> Table:
    """The table that says what the figure shows."""
    if figure.table is not None:
        return figure.table
    tabulate = DRAWINGS[figure.kind].tabulate
    if tabulate is None:
        raise ValueError(f"a figure of kind '{figure.kind}' brings its own table")
    return tabulate(figure.caption, figure.data)


def with_tables(sections: list[Section]) -> list[Section]:
    """The same sections, with a table behind every figure."""
    return [replace(section, figures=with_tables_behind(section.figures)) for section in sections]


def with_tables_behind(figures: list[Figure]) -> list[Figure]:
    """The same figures, each with the table that says the same."""
    return [replace(figure, table=table_behind(figure)) for figure in figures]


def without_samples(sections: list[Section]) -> list[Section]:
    """The same sections without figures that show samples."""
    return [
        replace(section, figures=[one for one in section.figures if not DRAWINGS[one.kind].shows_samples])
        for section in sections
    ]


def _roc(
    figure: Canvas,
    data: figure_data.Curves,
    across: str = "false alarms (FPR)",
    up: str = "members found (TPR)",
) -> None:
    axes = figure.subplots()
    smallest = 1.0
    for (name, curve), colour, line in zip(data.curves.items(), COLOURS, CURVES, strict=False):
        fpr, tpr = np.asarray(curve.fpr), np.asarray(curve.tpr)
        shown = (fpr > 0) & (tpr > 0)
        if shown.any():
            axes.plot(fpr[shown], tpr[shown], label=name, **options(line, colour, 1.6))
            smallest = min(smallest, float(fpr[shown].min()))
    axes.plot([smallest, 1], [smallest, 1], label="guessing", **options(NOTHING["roc"], QUIET))
    axes.set(xscale="log", yscale="log", xlabel=across, ylabel=up)
    axes.legend(loc="lower right", fontsize=7.5, handlelength=2.6)


def _histogram(
    figure: Canvas,
    data: figure_data.Histogram,
    across: str = "risk (attack success rate)",
    up: str = "samples",
) -> None:
    axes = figure.subplots()
    values, counts = np.asarray(data.values), np.asarray(data.counts)
    gap = float(np.diff(values).min()) if len(values) > 1 else 0.05
    axes.bar(values, counts, width=min(0.05, gap) * 0.9, color=ACCENT)
    axes.axvline(0.5, **options(NOTHING["histogram"], QUIET))
    axes.set(xlim=(-0.03, 1.03), xlabel=across, ylabel=up)


def _scatter(figure: Canvas, data: figure_data.Scatter) -> None:
    if not data.panels:
        return
    for axes, panel in zip(figure.subplots(1, len(data.panels), squeeze=False)[0], data.panels, strict=True):
        # Dots are many: as one rasterised layer the file stays small.
        axes.scatter(panel.x, panel.y, s=5, color=ACCENT, alpha=0.35, linewidths=0, rasterized=True)
        if panel.guessing is not None:
            axes.axvline(panel.guessing, **options(NOTHING["scatter"], QUIET))
        if panel.diagonal:
            axes.axline((0.5, 0.5), slope=1, **options(NOTHING["scatter"], QUIET))
        axes.set(xlabel=panel.across, title=plain(panel.title, 60))
        axes.title.set_fontsize(9)


def _bars(figure: Canvas, data: figure_data.Bars) -> None:
    """Estimates with their intervals, one a row, from the top down; of several series, side by side."""
    axes = figure.subplots()
    rows, series = data.rows, data.series
    places = np.arange(len(rows))[::-1]
    for index, (name, colour, marker) in enumerate(zip(series, COLOURS, MARKERS, strict=False)):
        shift = 0.16 * ((len(series) - 1) / 2 - index)
        found = [(place + shift, row.values[index]) for place, row in zip(places, rows, strict=True)]
        drawn = [(y, value) for y, value in found if value is not None]
        for y, value in drawn:
            if value.low is not None and value.high is not None:
                axes.plot([value.low, value.high], [y, y], color=colour, linewidth=1.4)
        axes.plot(
            [value.value for _, value in drawn],
            [y for y, _ in drawn],
            linestyle="none",
            marker=marker,
            markersize=4.5,
            color=colour,
            label=plain(name, 40),
        )
    if data.guessing is not None:
        axes.axvline(data.guessing, **options(NOTHING["bars"], QUIET))
    axes.set(xlabel=data.across, yticks=places, ylim=(-0.6, len(rows) - 0.4))
    axes.set_yticklabels([plain(row.name) for row in rows])
    axes.tick_params(axis="y", length=0)
    if len(series) > 1:
        figure.legend(loc="outside upper left", ncols=len(series), fontsize=8)


def _pictures(figure: Canvas, data: figure_data.Pictures) -> None:
    """Rows of small images, each with a title of its own."""
    import matplotlib.image

    columns = max(len(row.images) for row in data.rows)
    grid = figure.subplots(len(data.rows), columns, squeeze=False)
    for row, line in zip(data.rows, grid, strict=True):
        for axes in line:
            axes.set_axis_off()
        for axes, picture in zip(line, row.images, strict=False):
            image = matplotlib.image.imread(io.BytesIO(bytes.fromhex(picture.png)), format="png")
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title("\n".join(plain(line, 12) for line in picture.title.split("\n")), fontsize=5.5, pad=2)
        line[0].set_axis_on()
        line[0].set(xticks=[], yticks=[], ylabel=row.name)
        line[0].spines[:].set_visible(False)


def _naming(figure: Canvas, data: figure_data.Curves) -> None:
    """The same curve, in plain words."""
    _roc(figure, data, "share of outsiders wrongly named", "share of people rightly named")
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        _in_percent(axis)


def _rightness(figure: Canvas, data: figure_data.Histogram) -> None:
    """The same bars, in plain words."""
    _histogram(figure, data, "how often the attacker is right about a person", "people")
    _in_percent(figure.axes[0].xaxis)


def _shares(figure: Canvas, data: figure_data.Bars) -> None:
    """The same estimates, as shares of all; what became of a row stands below its name."""
    _bars(figure, data)
    figure.axes[0].set_yticklabels(
        ["\n".join(plain(part, 32) for part in _in_two(row.name)) for row in data.rows], fontsize=8.5
    )
    figure.axes[0].set_xlim(-0.03, 1.03)
    _in_percent(figure.axes[0].xaxis)


def _in_two(name: str) -> list[str]:
    """A row's name, and what follows its last colon."""
    first, _, rest = name.rpartition(": ")
    return [first, rest] if first else [name]


def _in_percent(axis: Axis) -> None:
    axis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


#: How a group of people is drawn: marker, colour, size.
PEOPLE = {
    "hit": ("o", ACCENT, 24.0),
    "miss": ("X", "#b5501a", 26.0),
    "part": ("o", QUIET, 7.0),
    "none": ("o", QUIET, 1.2),
}


def _people(figure: Canvas, data: figure_data.People) -> None:
    """A dot a person, in columns of 25, group after group, each with its number."""
    axes = figure.subplots()
    place = 0
    for group in data.groups:
        places = np.arange(place, place + group.count)
        place += group.count
        marker, colour, size = PEOPLE[group.mark]
        label = f"{group.count:,} {group.name}"
        axes.scatter(places // 25, -(places % 25), s=size, marker=marker, color=colour, linewidths=0, label=label)
    axes.set_axis_off()
    axes.margins(0.01)
    figure.legend(
        loc="outside lower left", ncols=2, fontsize=8.5, handletextpad=0.3, columnspacing=1.2, markerscale=1.3
    )


#: Every kind of figure by name.
DRAWINGS: dict[str, Drawing[Any]] = {
    "roc": Drawing(figure_data.Curves, _roc, figure_tables.table_of_curves, 3.1),
    "people": Drawing(figure_data.People, _people, height=3.1),
    "naming": Drawing(figure_data.Curves, _naming, height=3.1),
    "rightness": Drawing(figure_data.Histogram, _rightness, height=2.2),
    "histogram": Drawing(figure_data.Histogram, _histogram, figure_tables.table_of_histogram),
    "scatter": Drawing(figure_data.Scatter, _scatter, figure_tables.table_of_scatter, 2.7),
    "bars": Drawing(figure_data.Bars, _bars, figure_tables.table_of_bars),
    "forest": Drawing(figure_data.Forest, forest_plot.draw_forest, forest_plot.table_of_forest),
    "trade-off": Drawing(figure_data.TradeOff, trade_off_plot.draw_trade_off, trade_off_plot.table_of_trade_off, 3.4),
    "shares": Drawing(figure_data.Bars, _shares, figure_tables.table_of_bars),
    "pictures": Drawing(figure_data.Pictures, _pictures, height=2.5, shows_samples=True),
    "inversion-pictures": Drawing(
        figure_data.InversionPictures, inversion_figures.draw_pictures, height=2.2, shows_samples=True
    ),
    "inversion-placement": Drawing(
        figure_data.Placement, inversion_figures.draw_placement, figure_tables.table_of_placement
    ),
    "inversion-groups": Drawing(figure_data.Groups, inversion_figures.draw_groups, figure_tables.table_of_groups),
}
