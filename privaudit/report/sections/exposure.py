"""The section that says who bears the risk: single samples, and groups of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from privaudit.report.content import wording
from privaudit.report.content.elements import Figure, Section, Table, tabulate
from privaudit.report.content.figure_data import Bar, Bars, Estimate, Histogram
from privaudit.report.content.wording import clip, interval, percent
from privaudit.report.drawing import line_styles
from privaudit.report.exposure import most_exposed
from privaudit.results.audit.score_results import Exposure, GroupExposure, ScoreResults
from privaudit.scoring.reliability.confirmation import is_certain

#: The most groups of one property in its figure.
MOST_GROUPS = 20


def histogram_of(table: pd.DataFrame) -> Histogram:
    """How many samples have which risk."""
    counts = table["risk"].round(6).value_counts().sort_index()
    return Histogram(values=counts.index.tolist(), counts=counts.tolist())


def who_is_exposed(table: pd.DataFrame, results: ScoreResults) -> Section:
    """The distribution of risk, the most exposed samples and classes."""
    worst = most_exposed.leaders(table, results, 10)
    histogram = Figure(
        "histogram",
        f"How many samples have which risk. {line_styles.at('histogram')}",
        f"Histogram of risk over {len(table):,} samples, median {percent(float(table['risk'].median()))}.",
        histogram_of(table),
    )
    return Section(
        "exposed",
        "Who is exposed",
        [
            f"A sample's risk is its attack success rate: the share of the {results.shadows} shadow models in which "
            "LiRA tells rightly whether the sample was trained on. One half is guessing.",
            f"Mean risk is {percent(results.mean_risk)}. Separation is the accuracy of the best guess between the "
            "Gaussians fitted to the models that saw the sample and to those that did not; it ranks within equal risk.",
            wording.stability(results.stability, results.shadows),
            *wording.most_exposed(results.most_exposed),
            *most_exposed.confirmed(results),
            *([] if len(worst) else [most_exposed.nobody(results)]),
            *(wording.uneven(name, found) for name, found in results.groups.items()),
        ],
        [*_sample_table(worst), *(_group_table(name, found) for name, found in results.groups.items())],
        [histogram, *(_group_figure(name, found, results) for name, found in results.groups.items())],
        lead=_lead(table, results),
    )


def _sample_table(worst: pd.DataFrame) -> list[Table]:
    if not len(worst):
        return []
    return [
        tabulate(
            "The most exposed samples that either half of the models confirms",
            worst.to_dict("records"),
            {
                "Sample": lambda row: str(row["sample_id"]),
                "Class": lambda row: clip(str(row["class_name"])),
                "Risk (95%)": lambda row: wording.risk(row["risk"], row["risk_low"], row["risk_high"]),
                "Separation": lambda row: percent(row["separation"]),
                "Loss": lambda row: "–" if pd.isna(row["loss"]) else f"{row['loss']:.3g}",
                "In its class's tail": lambda row: "–" if pd.isna(row["tail"]) else "yes" if row["tail"] else "no",
            },
        )
    ]


def _lead(table: pd.DataFrame, results: ScoreResults) -> str:
    certain = int(is_certain(table["risk"].to_numpy(np.float64)).sum())
    chance = most_exposed.by_chance(results, len(table))
    return (
        f"{certain:,} of {len(table):,} samples are told right in at least nine of ten models"
        + (f" ({chance})" if chance else "")
        + f"; a typical one in {percent(float(table['risk'].median()))} of the {results.shadows}."
    )


def _group_figure(name: str, found: Exposure, results: ScoreResults) -> Figure:
    """Mean risk of the most exposed groups of one property."""
    shown, what = found.groups[:MOST_GROUPS], clip(name)
    spread = ", with 95% intervals over pairs of models" if any(group.ci is not None for group in shown) else ""
    part = f" ({len(shown)} most exposed of {len(found.groups)})" if len(shown) < len(found.groups) else ""
    first = "; ".join(f"{clip(group.name, 30)} {percent(group.mean)}" for group in shown[:5])

    def bar(group: GroupExposure) -> Bar:
        bounds = {} if group.ci is None else {"low": group.ci[0], "high": group.ci[1]}
        return Bar(name=clip(group.name), values=[Estimate(value=group.mean, **bounds)])

    return Figure(
        "bars",
        f"Mean risk by {what}{spread}{part}. {line_styles.at('bars')}",
        f"Mean risk by {what}: {first}; overall {percent(results.mean_risk)}.",
        Bars(
            across="mean risk (attack success rate)",
            of=what.capitalize(),
            guessing=0.5,
            rows=[bar(group) for group in shown],
        ),
    )


def _group_table(name: str, found: Exposure) -> Table:
    """The most exposed groups of one property."""
    part = f" (10 of {len(found.groups)})" if len(found.groups) > 10 else ""
    return tabulate(
        f"The most exposed, by {clip(name)}{part}",
        found.groups[:10],
        {
            clip(name).capitalize(): lambda group: clip(group.name),
            "Samples": lambda group: f"{group.samples:,}",
            "Mean risk (95%)": lambda group: f"{percent(group.mean)} ({interval(group.ci, percent)})",
            "With risk ≥ 90%": lambda group: f"{group.high:,}",
            "AUC (95%)": lambda group: wording.area(group.attack),
            "Found at 1% false alarms": lambda group: wording.found_at(group.attack, "0.01"),
            "Against the rest (p, Holm)": lambda group: wording.p_value(group.p),
        },
    )
