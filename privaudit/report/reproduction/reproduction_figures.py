"""Figures of the reproduction report: the paper's, with intervals over seeds."""

from __future__ import annotations

import math

import numpy as np

from privaudit.report.content.elements import Figure
from privaudit.report.content.figure_data import Bars
from privaudit.report.drawing import line_styles
from privaudit.report.reproduction.reproduction_tables import data_of, drawn, most_classes
from privaudit.report.reproduction.reproduction_texts import METHOD
from privaudit.results.reproduction_results import ExperimentResults, Spread, TableRow

#: A mean, and the bounds of its interval where it has one; None where nothing was run.
Estimate = dict[str, float] | None

#: A row's name, and its estimate in every series.
Row = tuple[str, list[Estimate]]

#: Where a line lies, and what it means.
Line = tuple[float, str]


def figures_of(results: ExperimentResults) -> list[Figure]:
    """What the paper draws, from one experiment on one dataset."""
    name = results.name
    if name in ("table1", "table2"):
        return [_by_group(results, "forget", "accuracy on D_u")]
    if name in ("figure3", "figure4"):
        return [_by_group(results, "relearn", "steps until relearned (at most 400)")]
    if name == "figure2":
        return [
            _of_groups(results, "asr", "attack success rate", (0.5, "guessing")),
            _of_groups(results, "entropy", "entropy (nats)"),
        ]
    if name == "figure5":
        return [_of_intervals(results)]
    if name in ("table5", "table6", "figure7"):
        return [_of_arms(results)]
    if name == "methods":
        return [_of_difficulties(results, forget) for forget in dict.fromkeys(row.set for row in results.table)]
    return []


def interval(found: Spread, draws: int) -> dict[str, float]:
    """Mean with its 95% t-interval over draws, where there are three or more."""
    if found.sd is None or draws < 3:
        return {"value": found.mean}
    from scipy import stats

    reach = float(stats.t.ppf(0.975, draws - 1)) * found.sd / math.sqrt(draws)
    return {"value": found.mean, "low": found.mean - reach, "high": found.mean + reach}


def _estimate(row: TableRow | None, measure: str) -> Estimate:
    found = None if row is None else row.measure(measure)
    return None if row is None or found is None else interval(found, row.draws)


def _bars(
    results: ExperimentResults, what: str, of: str, series: list[str], rows: list[Row], nothing: Line | None = None
) -> Figure:
    """Draw rows of estimates; ``nothing`` is the line at what means that nothing was found."""
    name, classes = data_of(results.about), most_classes(results)
    bounded = any(value is not None and "low" in value for _, values in rows for value in values)
    spread = "with 95% intervals " if bounded else ""
    draws = drawn(results) + ("" if classes is None else f" ({classes} classes where whole ones are forgotten)")
    return Figure(
        "bars",
        f"{name}: {what}, means {spread}over {draws}."
        + ("" if nothing is None else f" {line_styles.at('bars', nothing[1])}"),
        f"Dots {spread}of {what} on {name}: one row for each of {', '.join(row for row, _ in rows)}"
        + (f"; series {', '.join(series)}." if len(series) > 1 else "."),
        Bars.model_validate(
            {
                "across": what,
                "of": of,
                "series": series,
                "rows": [{"name": row, "values": values} for row, values in rows],
                "guessing": None if nothing is None else nothing[0],
            }
        ),
    )


def _by_group(results: ExperimentResults, measure: str, what: str) -> Figure:
    """One row a method, one series a group."""
    taken = [row for row in results.table if row.measure(measure) is not None]
    table = {(row.method, row.set): row for row in reversed(taken)}
    groups = list(dict.fromkeys(row.set for row in taken))
    rows: list[Row] = [
        (METHOD[name] if name else "do nothing", [_estimate(table.get((name, group)), measure) for group in groups])
        for name in dict.fromkeys(row.method for row in taken)
    ]
    return _bars(results, what, "Method", groups, rows)


def _of_groups(results: ExperimentResults, measure: str, what: str, nothing: Line | None = None) -> Figure:
    rows = [(row.set, [_estimate(row, measure)]) for row in results.table if row.measure(measure) is not None]
    return _bars(results, what, "Group", [""], rows, nothing)


def _of_intervals(results: ExperimentResults) -> Figure:
    """Mean ASR of each interval of loss, over seeds."""
    by_seed = results.figures.intervals or []
    loss, asr = np.array([one.loss for one in by_seed]), np.array([one.asr for one in by_seed])
    spread = asr.std(axis=0, ddof=1) if len(by_seed) > 1 else [None] * asr.shape[-1]
    rows: list[Row] = [
        (f"loss {of_loss:.2g}", [interval(Spread(mean=mean, sd=sd), len(by_seed))])
        for of_loss, mean, sd in zip(loss.mean(axis=0), asr.mean(axis=0), spread, strict=True)
    ]
    return _bars(results, "mean attack success rate", "Interval of loss", [""], rows)


def _of_difficulties(results: ExperimentResults, forget: str) -> Figure:
    """How risk goes with the three difficulties, one row a method in its one-shot run."""
    names = ["forgettability", "fidelity", "shift"]
    first = {row.method: row for row in reversed(results.table) if row.set == forget and row.method}
    methods = dict.fromkeys(row.method for row in results.table if row.method in first)
    rows = [(METHOD[method], [_estimate(first[method], f"risk_and_{name}") for name in names]) for method in methods]
    return _bars(results, f"Spearman's ρ with risk, forgetting {forget}", "Method", names, rows, (0.0, "no relation"))


def _of_arms(results: ExperimentResults) -> Figure:
    """ToW of every arm, one series a method."""
    table = {(row.method, row.arm): row for row in results.table}
    methods = list(dict.fromkeys(method for method, _ in table if method not in ("", "retrain")))
    rows: list[Row] = [
        (name, [_estimate(next(row for row in results.table if row.method == of), "tow")] + [None] * (len(methods) - 1))
        for name, of in (("do nothing", ""), ("two retrained models", "retrain"))
    ]
    rows += [
        (arm, [_estimate(table.get((method, arm)), "tow") for method in methods])
        for arm in dict.fromkeys(arm for method, arm in table if method in methods)
    ]
    return _bars(results, "ToW", "Arm", [METHOD[method] for method in methods], rows)
