"""The section that says who bears the risk: single samples, and groups of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from privaudit.report.content import most_exposed, wording
from privaudit.report.content.elements import Figure, Section, Table
from privaudit.report.content.wording import interval, percent
from privaudit.report.drawing import line_styles
from privaudit.scoring.reliability.confirmation import is_certain

#: The most groups of one property in its figure.
MOST_GROUPS = 20


def who_is_exposed(table: pd.DataFrame, results: dict[str, Any]) -> Section:
    """The distribution of risk, the most exposed samples and classes."""
    worst = most_exposed.leaders(table, results, 10)
    samples = [
        [
            str(row["sample_id"]),
            wording.clip(str(row["class_name"])),
            wording.risk(float(row["risk"]), float(row["risk_low"]), float(row["risk_high"])),
            f"{percent(row['separation'])}",
            "–" if pd.isna(row["loss"]) else f"{row['loss']:.3g}",
            "–" if pd.isna(row["tail"]) else "yes" if row["tail"] else "no",
        ]
        for row in worst.to_dict("records")
    ]
    models = results["shadows"]
    risks = table["risk"].round(6)
    counts = risks.value_counts().sort_index()
    return Section(
        "exposed",
        "Who is exposed",
        [
            f"A sample's risk is its attack success rate: the share of the {models} shadow models in which LiRA tells "
            "rightly whether the sample was trained on. One half is guessing.",
            f"Mean risk is {percent(results['mean_risk'])}. Separation is the accuracy of the best guess between the "
            "Gaussians fitted to the models that saw the sample and to those that did not; it ranks within equal risk.",
            wording.stability(results["stability"], models),
            *wording.most_exposed(results["most_exposed"]),
            *(
                said
                for said in (most_exposed.confirmed(results), "" if len(worst) else most_exposed.nobody(results))
                if said
            ),
            *(wording.uneven(name, found) for name, found in results["groups"].items()),
        ],
        [
            *(
                [
                    Table(
                        "The most exposed samples that either half of the models confirms",
                        ["Sample", "Class", "Risk (95%)", "Separation", "Loss", "In its class's tail"],
                        samples,
                    )
                ]
                if samples
                else []
            ),
            *(_group_table(name, found) for name, found in results["groups"].items()),
        ],
        [
            Figure(
                "histogram",
                f"How many samples have which risk. {line_styles.at('histogram')}",
                f"Histogram of risk over {len(table):,} samples, median {percent(float(table['risk'].median()))}.",
                {"values": [float(value) for value in counts.index], "counts": [int(value) for value in counts]},
            ),
            *(_group_figure(name, found, results) for name, found in results["groups"].items()),
        ],
        lead=_lead(table, results),
    )


def _lead(table: pd.DataFrame, results: dict[str, Any]) -> str:
    certain = int(is_certain(table["risk"].to_numpy(np.float64)).sum())
    chance = most_exposed.by_chance(results, len(table))
    return (
        f"{certain:,} of {len(table):,} samples are told right in at least nine of ten models"
        + (f" ({chance})" if chance else "")
        + f"; a typical one in {percent(float(table['risk'].median()))} of the {results['shadows']}."
    )


def _group_figure(name: str, found: dict[str, Any], results: dict[str, Any]) -> Figure:
    """Mean risk of the most exposed groups of one property."""
    shown = found["groups"][:MOST_GROUPS]
    what = wording.clip(name)
    spread = ", with 95% intervals over pairs of models" if any(group["ci"] is not None for group in shown) else ""
    return Figure(
        "bars",
        f"Mean risk by {what}{spread}"
        + (f" ({len(shown)} most exposed of {len(found['groups'])})" if len(shown) < len(found["groups"]) else "")
        + f". {line_styles.at('bars')}",
        f"Mean risk by {what}: "
        + "; ".join(f"{wording.clip(group['name'], 30)} {percent(group['mean'])}" for group in shown[:5])
        + f"; overall {percent(results['mean_risk'])}.",
        {
            "across": "mean risk (attack success rate)",
            "of": what.capitalize(),
            "guessing": 0.5,
            "rows": [
                {
                    "name": wording.clip(group["name"]),
                    "values": [
                        {"value": group["mean"]}
                        | ({} if group["ci"] is None else {"low": group["ci"][0], "high": group["ci"][1]})
                    ],
                }
                for group in shown
            ],
        },
    )


def _group_table(name: str, found: dict[str, Any]) -> Table:
    """The most exposed groups of one property."""
    rows = [
        [
            wording.clip(group["name"]),
            f"{group['samples']:,}",
            f"{percent(group['mean'])} ({interval(group['ci'], percent)})",
            f"{group['high']:,}",
            wording.area(group["attack"]),
            wording.found_at(group["attack"], "0.01"),
            wording.p_value(group["p"]),
        ]
        for group in found["groups"][:10]
    ]
    return Table(
        f"The most exposed, by {wording.clip(name)}"
        + (f" (10 of {len(found['groups'])})" if len(found["groups"]) > 10 else ""),
        [
            wording.clip(name).capitalize(),
            "Samples",
            "Mean risk (95%)",
            "With risk ≥ 90%",
            "AUC (95%)",
            "Found at 1% false alarms",
            "Against the rest (p, Holm)",
        ],
        rows,
    )
