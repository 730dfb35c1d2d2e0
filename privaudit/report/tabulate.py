"""The table behind a figure: what it shows, for whoever can't see it or wants the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from privaudit.report.parts import Table
from privaudit.report.words import percent

#: The most rows of a table behind a figure.
MOST_ROWS = 20

#: False alarm rates at which a curve is told in numbers.
TOLD_RATES = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.5)


def table_of_curves(caption: str, data: dict[str, Any]) -> Table:
    """Members found at a handful of false alarm rates."""
    names = list(data["curves"])
    rows = []
    for rate in TOLD_RATES:
        found = []
        for name in names:
            fpr, tpr = np.asarray(data["curves"][name]["fpr"]), np.asarray(data["curves"][name]["tpr"])
            below = np.flatnonzero(fpr <= rate)
            found.append(percent(float(tpr[below[-1]])) if len(below) else "–")
        rows.append([f"{100 * rate:g}%", *found])
    return Table(caption, ["False alarms", *names], rows)


def table_of_histogram(caption: str, data: dict[str, Any]) -> Table:
    """Counts by value, in at most `MOST_ROWS` equal steps."""
    values, counts = np.asarray(data["values"], float), np.asarray(data["counts"])
    if len(values) <= MOST_ROWS:
        return Table(
            caption,
            ["Risk", "Samples"],
            [[percent(float(value)), f"{count:,}"] for value, count in zip(values, counts, strict=True)],
        )
    edges = np.linspace(0, 1, MOST_ROWS + 1)
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, MOST_ROWS - 1)
    totals = np.bincount(place, weights=counts, minlength=MOST_ROWS).astype(int)
    return Table(
        caption,
        ["Risk", "Samples"],
        [
            [f"{100 * edges[step]:g}% to {100 * edges[step + 1]:g}%", f"{total:,}"]
            for step, total in enumerate(totals)
            if total
        ],
    )


def table_of_scatter(caption: str, data: dict[str, Any]) -> Table:
    """For every panel the median and the middle half of the dots, by fifths of what lies across."""
    rows = []
    for panel in data["panels"]:
        x, y = np.asarray(panel["x"], float), np.asarray(panel["y"], float)
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
                    panel["title"],
                    f"{across.min():.3g} to {across.max():.3g}",
                    f"{(place == step).sum():,}",
                    f"{middle:.3g}",
                    f"{low:.3g} to {high:.3g}",
                ]
            )
    across = data["panels"][0].get("across", "risk") if data["panels"] else "risk"
    return Table(caption, ["Panel", across.capitalize(), "Samples", "Median", "Middle half"], rows)


def table_of_bars(caption: str, data: dict[str, Any]) -> Table:
    """Every estimate with its interval."""
    series = data.get("series", [""])

    def said(value: dict[str, Any] | None) -> str:
        if value is None:
            return "–"
        bounds = "" if value.get("low") is None else f" ({value['low']:.3f} to {value['high']:.3f})"
        return f"{value['value']:.3f}{bounds}"

    return Table(
        caption,
        [data.get("of", "Group"), *(name or data["across"].capitalize() for name in series)],
        [[row["name"], *map(said, row["values"])] for row in data["rows"]],
    )


def table_of_data(caption: str, data: dict[str, Any]) -> Table:
    """What the lists in the data hold, each in a row: for kinds of figures that have no table of their own."""
    return Table(caption, ["What", "Values", "Smallest", "Median", "Largest"], list(_described("", data)))


def _described(name: str, value: Any) -> Iterator[list[str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _described(f"{name} {key}".strip(), item)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for number, item in enumerate(value, start=1):
            yield from _described(f"{name} {item.get('title') or item.get('name') or number}".strip(), item)
    elif isinstance(value, list) and value:
        numbers = [item for item in value if isinstance(item, int | float) and not isinstance(item, bool)]
        if len(numbers) == len(value):
            low, middle, high = np.quantile(numbers, [0, 0.5, 1])
            yield [name, f"{len(value):,}", f"{low:.4g}", f"{middle:.4g}", f"{high:.4g}"]
        else:
            yield [name, f"{len(value):,}", "–", "–", "–"]
