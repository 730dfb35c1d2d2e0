"""Figures of the reproduction report: the paper's, with intervals over seeds."""

from __future__ import annotations

import math
from typing import Any

from privaudit.report.content.elements import Figure
from privaudit.report.content.figure_data import Bars
from privaudit.report.drawing import line_styles
from privaudit.report.reproduction.reproduction_tables import METHOD


def figures_of(answer: dict[str, Any]) -> list[Figure]:
    """What the paper draws, from one experiment on one dataset."""
    name = answer["name"]
    if name in ("table1", "table2"):
        return [_by_group(answer, "forget", "accuracy on D_u")]
    if name in ("figure3", "figure4"):
        return [_by_group(answer, "relearn", "steps until relearned (at most 400)")]
    if name == "figure2":
        return [
            _of_groups(answer, "asr", "attack success rate", (0.5, "guessing")),
            _of_groups(answer, "entropy", "entropy (nats)"),
        ]
    if name == "figure5":
        return [_of_intervals(answer)]
    if name in ("table5", "table6", "figure7"):
        return [_of_arms(answer)]
    if name == "methods":
        return [_of_difficulties(answer, forget) for forget in dict.fromkeys(row["set"] for row in answer["table"])]
    return []


def interval(found: dict[str, Any], seeds: int) -> dict[str, float]:
    """Mean with its 95% t-interval over seeds, where there are three or more."""
    if found["sd"] is None or seeds < 3:
        return {"value": found["mean"]}
    from scipy import stats

    reach = float(stats.t.ppf(0.975, seeds - 1)) * found["sd"] / math.sqrt(seeds)
    return {"value": found["mean"], "low": found["mean"] - reach, "high": found["mean"] + reach}


def draws(row: dict[str, Any]) -> int:
    """Of how many independent draws a row's means are: of classes where whole ones are forgotten, else of seeds."""
    return int(row.get("classes", row["seeds"]))


def _name(answer: dict[str, Any]) -> str:
    return f"{answer['about']['dataset']} ({answer['about']['network']})"


def _drawn(answer: dict[str, Any]) -> str:
    classes = {row["classes"] for row in answer["table"] if "classes" in row}
    seeds = f"{answer['about']['seeds']} seeds"
    return f"{seeds} ({max(classes)} classes where whole ones are forgotten)" if classes else seeds


def _bars(
    answer: dict[str, Any],
    what: str,
    series: list[str],
    rows: list[dict[str, Any]],
    of: str,
    nothing: tuple[float, str] | None = None,
) -> Figure:
    """Draw rows of estimates; ``nothing`` is where a line lies, and what it means."""
    bounded = any(value is not None and "low" in value for row in rows for value in row["values"])
    spread = "with 95% intervals " if bounded else ""
    line = {"guessing": None if nothing is None else nothing[0]}
    return Figure(
        "bars",
        f"{_name(answer)}: {what}, means {spread}over {_drawn(answer)}."
        + ("" if nothing is None else f" {line_styles.at('bars', nothing[1])}"),
        f"Dots {spread}of {what} on {_name(answer)}: one row for each of "
        f"{', '.join(row['name'] for row in rows)}" + (f"; series {', '.join(series)}." if len(series) > 1 else "."),
        Bars.model_validate({"across": what, "of": of, "series": series, "rows": rows} | line),
    )


def _by_group(answer: dict[str, Any], measure: str, what: str) -> Figure:
    """One row a method, one series a group."""
    table = [row for row in answer["table"] if measure in row]
    groups = list(dict.fromkeys(row["set"] for row in table))
    rows = []
    for method in dict.fromkeys(row["method"] for row in table):
        values: list[dict[str, float] | None] = []
        for group in groups:
            of_group = [row for row in table if row["set"] == group and row["method"] == method]
            values.append(interval(of_group[0][measure], draws(of_group[0])) if of_group else None)
        rows.append({"name": METHOD[method] if method else "do nothing", "values": values})
    return _bars(answer, what, groups, rows, "Method")


def _of_groups(answer: dict[str, Any], measure: str, what: str, nothing: tuple[float, str] | None = None) -> Figure:
    rows = [
        {"name": row["set"], "values": [interval(row[measure], draws(row))]}
        for row in answer["table"]
        if measure in row
    ]
    return _bars(answer, what, [""], rows, "Group", nothing)


def _of_intervals(answer: dict[str, Any]) -> Figure:
    """Mean ASR of each interval of loss, over seeds."""
    by_seed = answer["figures"]["intervals"]
    count = len(by_seed[0]["asr"])
    rows = []
    for place in range(count):
        values = [seed["asr"][place] for seed in by_seed]
        mean = sum(values) / len(values)
        loss = sum(seed["loss"][place] for seed in by_seed) / len(by_seed)
        spread = None
        if len(values) > 1:
            spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
        rows.append({"name": f"loss {loss:.2g}", "values": [interval({"mean": mean, "sd": spread}, len(values))]})
    return _bars(answer, "mean attack success rate", [""], rows, "Interval of loss")


def _of_difficulties(answer: dict[str, Any], forget: str) -> Figure:
    """How risk goes with the three difficulties, one row a method in its one-shot run."""
    names = ("forgettability", "fidelity", "shift")
    found: dict[str, dict[str, Any]] = {}
    for row in answer["table"]:
        if row["set"] == forget and row["method"]:
            found.setdefault(row["method"], row)
    rows = []
    for method, row in found.items():
        cells = [row.get(f"risk_and_{name}") for name in names]
        values = [None if cell is None else interval(cell, draws(row)) for cell in cells]
        rows.append({"name": METHOD[method], "values": values})
    what = f"Spearman's ρ with risk, forgetting {forget}"
    return _bars(answer, what, list(names), rows, "Method", (0.0, "no relation"))


def _of_arms(answer: dict[str, Any]) -> Figure:
    """ToW of every arm, one series a method."""
    methods = list(dict.fromkeys(row["method"] for row in answer["table"] if row["method"] not in ("", "retrain")))
    arms = list(dict.fromkeys(row["arm"] for row in answer["table"] if row["method"] in methods))
    rows: list[dict[str, Any]] = []
    for name, of in (("do nothing", ""), ("two retrained models", "retrain")):
        found = next(row for row in answer["table"] if row["method"] == of)
        value = interval(found["tow"], draws(found))
        rows.append({"name": name, "values": [value] + [None] * (len(methods) - 1)})
    for arm in arms:
        values = []
        for method in methods:
            cell = [row for row in answer["table"] if row["method"] == method and row["arm"] == arm]
            values.append(interval(cell[0]["tow"], draws(cell[0])) if cell else None)
        rows.append({"name": arm, "values": values})
    return _bars(answer, "ToW", [METHOD[method] for method in methods], rows, "Arm")
