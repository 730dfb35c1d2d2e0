"""What figures are drawn from, and the table behind each: what it shows, for whoever wants the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from privaudit.report.content.elements import Table
from privaudit.report.content.figure_data import Bars, Curves, Dots, Estimate, Groups, Histogram, Placement, Scatter
from privaudit.report.content.wording import percent
from privaudit.results.measures import Curve

#: The most rows of a table behind a figure.
MOST_ROWS = 20

#: False alarm rates at which a curve is told in numbers.
TOLD_RATES = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.5)


def table_of_curves(caption: str, data: Curves) -> Table:
    """Members found at a handful of false alarm rates."""

    def found(curve: Curve, rate: float) -> str:
        below = np.flatnonzero(np.asarray(curve.fpr) <= rate)
        return percent(curve.tpr[below[-1]]) if len(below) else "–"

    rows = [[f"{100 * rate:g}%", *(found(curve, rate) for curve in data.curves.values())] for rate in TOLD_RATES]
    return Table(caption, ["False alarms", *data.curves], rows)


def table_of_histogram(caption: str, data: Histogram) -> Table:
    """Counts by value; of more than `MOST_ROWS` values, by as many of their steps at a time as that many rows need.

    Risk is a share of verdicts: it moves in steps of 1/S. Bins of any other width would hold now more steps, now fewer.
    """
    values, counts = np.asarray(data.values, float), np.asarray(data.counts)
    steps = _steps_of(values)
    # The bin of step k, whose edges lie half a step beside multiples of the width.
    wide = 1 if len(values) <= MOST_ROWS else _steps_a_row(steps)
    places = np.rint(values * steps).astype(int) if len(values) > MOST_ROWS else np.arange(len(values))
    rows = []
    for place in np.unique(places // wide):
        within = places // wide == place
        if wide == 1:
            said = percent(float(values[within][0]))
        else:
            first, last = place * wide, min(place * wide + wide - 1, steps)
            said = f"{percent(first / steps)} to {percent(last / steps)}"
        rows.append([said, f"{int(counts[within].sum()):,}"])
    return Table(caption, ["Risk", "Samples"], rows)


def _steps_of(values: np.ndarray[Any, np.dtype[np.float64]]) -> int:
    """S, where every value is a multiple of 1/S; 1,000 where there is no such S up to that."""
    for steps in range(1, 1001):
        if np.allclose(values * steps, np.rint(values * steps), rtol=0, atol=1e-6 * steps):
            return steps
    return 1000


def _steps_a_row(steps: int) -> int:
    """How many of the values 0, 1/S, …, 1 a row takes: where it can be, so that every row takes as many."""
    fewest = -(-(steps + 1) // MOST_ROWS)
    even = [wide for wide in range(fewest, 2 * fewest + 1) if (steps + 1) % wide == 0]
    return even[0] if even else fewest


def dots(title: str, table: pd.DataFrame, across: str, up: str, most: int = 3000) -> Dots:
    """Return the panel of a scatter: at most ``most`` rows of a table by two of their columns."""
    drawn = table.sample(min(len(table), most), random_state=0).sort_index()
    x, y = ([round(float(value), 4) for value in drawn[column]] for column in (across, up))
    return Dots(title=title, x=x, y=y)


def table_of_scatter(caption: str, data: Scatter) -> Table:
    """For every panel the median and the middle half of the dots, by fifths of what lies across."""
    rows = []
    for panel in data.panels:
        x, y = np.asarray(panel.x, float), np.asarray(panel.y, float)
        known = np.isfinite(x) & np.isfinite(y)
        x, y = x[known], y[known]
        if not len(x):
            continue
        edges = np.unique(np.quantile(x, np.linspace(0, 1, 6)))
        place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, max(0, len(edges) - 2))
        for step in np.unique(place):
            low, middle, high = np.quantile(y[place == step], [0.25, 0.5, 0.75])
            across = x[place == step]
            rows.append(
                [
                    panel.title,
                    f"{across.min():.3g} to {across.max():.3g}",
                    f"{(place == step).sum():,}",
                    f"{middle:.3g}",
                    f"{low:.3g} to {high:.3g}",
                ]
            )
    across = data.panels[0].across if data.panels else "risk"
    return Table(caption, ["Panel", across.capitalize(), "Samples", "Median", "Middle half"], rows)


def table_of_bars(caption: str, data: Bars) -> Table:
    """Every estimate with its interval."""

    def said(value: Estimate | None) -> str:
        if value is None:
            return "–"
        return f"{value.value:.3f}" + ("" if value.low is None else f" ({value.low:.3f} to {value.high:.3f})")

    # Not capitalize(), which would make an "Auc" of an AUC.
    columns = [data.of, *(name or data.across[:1].upper() + data.across[1:] for name in data.series)]
    return Table(caption, columns, [[row.name, *map(said, row.values)] for row in data.rows])


def table_of_placement(caption: str, data: Placement) -> Table:
    """Of either group of inverted samples, where the middle half lies on both axes."""
    rows = [
        [data.titles[name], f"{len(group.psnr):,}", *_middle(group.psnr), *_middle(group.nn_margin)]
        for name, group in data.groups.items()
    ]
    columns = ["Mean PSNR (dB)", "Middle half", "Log(nearest other error / own)", "Middle half"]
    return Table(caption, ["Group", "Samples", *columns], rows)


def table_of_groups(caption: str, data: Groups) -> Table:
    """Of either group the mean with its interval, and where the middle half of its samples lies."""
    rows = []
    for panel in data.panels:
        for group, title in zip((panel.high, panel.low), data.titles, strict=True):
            mean = f"{group.mean:.3f}" + ("" if group.ci is None else f" ({group.ci[0]:.3f} to {group.ci[1]:.3f})")
            rows.append([panel.title.capitalize(), title, f"{len(group.values):,}", mean, *_middle(group.values)])
    return Table(caption, ["What", "Group", "Samples", "Mean (95% interval)", "Median", "Middle half"], rows)


def _middle(values: list[float]) -> list[str]:
    """Median and middle half."""
    if not values:
        return ["–", "–"]
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return [f"{middle:.3g}", f"{low:.3g} to {high:.3g}"]
