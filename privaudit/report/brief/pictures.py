"""The brief's pictures: how many of a thousand people are named, how often the attacker is right, before and after."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from privaudit.report.brief import plain
from privaudit.report.brief.plain import SHOWN, of_whom, percent, share_of
from privaudit.report.content.elements import Figure, Table
from privaudit.report.content.figure_data import Bar, Bars, Curves, Estimate, Group, Histogram, People
from privaudit.report.content.method_names import METHODS
from privaudit.report.content.wording import clip
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.gate_results import Limit
from privaudit.results.measures import Attack
from privaudit.results.unlearning.run import UnlearnResults

#: The most unlearning runs in a picture or table of the brief.
MOST_RUNS = 3

#: False alarm rates of the table behind the curve.
TOLD = (0.001, 0.01, 0.1)


def people(attack: Attack, rate: str, prior: float, shown: int = SHOWN) -> list[Group]:
    """Divide so many people, a share ``prior`` of them trained on, by what an attacker who names some says of them.

    Counts are rounded so that they add up to all.
    """
    tpr, fpr = attack.tpr_at_fpr[rate] or 0.0, float(rate)
    shares = [prior * tpr, (1 - prior) * fpr, prior * (1 - tpr), (1 - prior) * (1 - fpr)]
    counts = np.floor(np.asarray(shares) * shown).astype(int)
    for place in np.argsort(counts - np.asarray(shares) * shown, kind="stable")[: shown - int(counts.sum())]:
        counts[place] += 1
    names = ("rightly named", "wrongly named", "trained on, not named", "others, not named")
    return [
        Group(name=name, count=int(count), mark=mark)
        for name, count, mark in zip(names, counts, ("hit", "miss", "part", "none"), strict=True)
    ]


def of_naming(results: ScoreResults, limits: list[Limit], prior: float) -> list[Figure]:
    """A thousand people, and the curve of all thresholds; no picture where nothing is resolved."""
    attack = plain.subject(results)
    rate = plain.told_rate(attack, limits)
    if rate is None:
        return []
    groups = people(attack, rate, prior)
    members = round(SHOWN * prior)
    told = ", ".join(f"{group.count:,} {group.name}" for group in groups)
    dots = Figure(
        "people",
        f"{SHOWN:,} people, {members:,} of them in the training data, as seen from {of_whom(results)} by an "
        f"attacker who wrongly names {share_of(float(rate))} outsiders.",
        f"A picture of {SHOWN:,} dots: {told}.",
        People(groups=groups),
        Table(
            f"Of {SHOWN:,} people, {members:,} in the training data",
            ["What becomes of them", "People"],
            [[group.name, f"{group.count:,}"] for group in groups],
        ),
    )
    return [dots, *_curve(attack)]


def _curve(attack: Attack) -> list[Figure]:
    if (curve := attack.curve) is None:
        return []
    fpr, tpr = np.asarray(curve.fpr), np.asarray(curve.tpr)
    rows = []
    for rate in TOLD:
        below = np.flatnonzero(fpr <= rate)
        told = attack.tpr_at_fpr.get(f"{rate:g}", float(tpr[below[-1]]) if len(below) else None)
        rows.append([share_of(rate), "–" if told is None or rate < attack.smallest_fpr else percent(told)])
    return [
        Figure(
            "naming",
            "The more outsiders an attacker is ready to name wrongly, the more people are rightly named. The dotted "
            "line is guessing.",
            "A curve: the share rightly named against the share wrongly named, beside the line of guessing.",
            Curves(curves={"an attacker": curve}),
            Table("Rightly and wrongly named", ["Outsiders named wrongly", "People named rightly"], rows),
        )
    ]


def of_risk(table: pd.DataFrame) -> Figure:
    """How often the attacker is right about each person."""
    counts = table["risk"].round(6).value_counts().sort_index()
    risk = table["risk"].to_numpy(np.float64)
    steps = [(low, low + 0.1) for low in (0.0, 0.5, 0.6, 0.7, 0.8)]
    steps[0] = (0.0, 0.5)
    rows = [
        [f"{percent(low)} to {percent(high)}", f"{int(((risk >= low) & (risk < high)).sum()):,}"] for low, high in steps
    ]
    rows.append(["90% or more", f"{int((risk >= 0.9).sum()):,}"])
    return Figure(
        "rightness",
        "How many people the attacker judges rightly how often. The dashed line is guessing.",
        f"Bars: how often the attacker is right about each of {len(table):,} people, in the middle "
        f"{percent(float(np.median(risk)))}; guessing is 50%.",
        Histogram(values=counts.index.tolist(), counts=counts.tolist()),
        Table("How often the attacker is right about a person", ["Right in", "People"], rows),
    )


def latest(runs: Sequence[UnlearnResults]) -> list[UnlearnResults]:
    """The latest unlearning runs, the last one first."""
    return list(runs)[::-1][:MOST_RUNS]


def of_unlearning(runs: Sequence[UnlearnResults]) -> list[Figure]:
    """How many of those to be forgotten still look trained on; nothing where that can't be told of any run."""
    rows = []
    for run in latest(runs):
        values = [_looks_trained_on(run, name) for name in ("original", "unlearned", "retrained")]
        if values[1] is not None:
            estimates = [None if one is None else Estimate(value=one) for one in values]
            became = IN_A_WORD.get(run.outcome_or_exact or "", "unclear")
            rows.append(Bar(name=f"{clip(run.method, 20)}, {run.forget:,}: {became}", values=estimates))
    if not rows:
        return []
    return [
        Figure(
            "shares",
            "Of the people to be forgotten, how many still look trained on: before, after, and in a model that never "
            "saw them. A row a run: method, people, what became of it.",
            "Dots for each unlearning: the share that looks trained on before, after and in a model that never saw "
            "them.",
            Bars(
                across="share that looks trained on",
                of="Unlearning",
                series=("before", "after", "never trained on"),
                rows=rows,
            ),
        )
    ]


def _looks_trained_on(run: UnlearnResults, model: str) -> float | None:
    found = {} if run.exposure is None else run.exposure.called_members
    return found[model].forget if model in found else None


def table_of_runs(runs: Sequence[UnlearnResults]) -> Table | None:
    """Every run of the brief in a row."""
    if not runs:
        return None

    def change(before: float | None, after: float | None) -> str:
        return "cannot be told" if after is None else f"{'–' if before is None else percent(before)} → {percent(after)}"

    rows = []
    for run in latest(runs):
        before, after = run.accuracy.get("original"), run.accuracy.get("unlearned")
        rows.append(
            [
                f"{clip(METHODS.get(run.method, run.method), 40)}: {run.forget:,} people",
                OUTCOMES.get(run.outcome_or_exact or "", "cannot be told"),
                change(_looks_trained_on(run, "original"), _looks_trained_on(run, "unlearned")),
                change(None if before is None else before.test, None if after is None else after.test),
            ]
        )
    more = len(runs) - len(rows)
    caption = "Unlearning, the latest first" + (f"; {more} earlier in the annex" if more else "")
    return Table(caption, ["What was done", "Outcome", "Still look trained on", "Right answers on new data"], rows)


#: Outcomes in a word or two, beside a figure.
IN_A_WORD: dict[str, str] = {
    "exact": "forgotten",
    "close": "forgotten",
    "partial": "in part",
    "unchanged": "not forgotten",
    "ruined": "ruined",
    "unclear": "unclear",
}

#: Outcomes of unlearning, in plain words.
OUTCOMES: dict[str, str] = {
    "exact": "forgotten: trained anew without them",
    "close": "forgotten, as far as can be measured",
    "partial": "forgotten in part",
    "unchanged": "NOT forgotten; rejected",
    "ruined": "model ruined; rejected",
    "unclear": "cannot be told",
}
