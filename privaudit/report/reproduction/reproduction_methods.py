"""What the table of every method in every order says, in sentences for page 1."""

from __future__ import annotations

from collections.abc import Iterator

from privaudit.report.content.elements import Answer
from privaudit.report.content.wording import number
from privaudit.report.reproduction.reproduction_texts import METHOD
from privaudit.results.reproduction_results import TableRow

SETS = {"random:10%": "a random tenth", "classes:10%": "whole classes (a tenth)"}

#: Below this a difference in mean ToW is called none.
SAME = 0.005


def answers(tables: list[tuple[str, list[TableRow]]]) -> list[Answer]:
    """Three questions, a line each for every data set and forget set.

    Parameters
    ----------
    tables
        A study's title and its rows: means by set, method and arm.
    """
    parts = list(_parts(tables))
    return [
        Answer("Which method comes closest to retraining?", [_closest(*part) for part in parts], "methods"),
        Answer("Does the paper's order, safest samples first, help?", [_order(*part) for part in parts], "methods"),
        Answer(
            "Are risky samples easier to forget?",
            [_difficulty(title, rows) for title, forget, rows in parts if forget == "random:10%"],
            "methods",
        ),
    ]


def finding(tables: list[tuple[str, list[TableRow]]], seeds: int) -> list[str]:
    """The first data set's answer to the first question, and what so few seeds are worth."""
    title, forget, rows = next(_parts(tables))
    return [
        _closest(title, forget, rows),
        "ToW is how close a model's accuracies on the forgotten, the retained and the test samples are to those of a "
        f"model that was retrained without the forgotten; 1 is the same. {seeds} seeds describe; they decide nothing.",
    ]


def _parts(tables: list[tuple[str, list[TableRow]]]) -> Iterator[tuple[str, str, list[TableRow]]]:
    for title, rows in tables:
        for forget in dict.fromkeys(row.set for row in rows):
            yield title, forget, [row for row in rows if row.set == forget]


def _where(title: str, forget: str) -> str:
    return f"{title}, {SETS.get(forget, forget)} to be forgotten"


def _methods(rows: list[TableRow]) -> list[TableRow]:
    return [row for row in rows if row.method not in ("", "retrain")]


def _closest(title: str, forget: str, rows: list[TableRow]) -> str:
    best = max(_methods(rows), key=lambda row: row.mean("tow"))
    nothing, floor = (next(row.mean("tow") for row in rows if row.method == method) for method in ("", "retrain"))
    said = (
        f"{_where(title, forget)}: {METHOD[best.method]} ({best.arm}) comes closest, with a ToW of "
        f"{number(best.mean('tow'))}; a second retraining has {number(floor)}, doing nothing {number(nothing)}"
    )
    return said + (": ToW tells nothing here." if nothing >= floor else ".")


def _order(title: str, forget: str, rows: list[TableRow]) -> str:
    by_arm = {(row.method, row.arm): row.mean("tow") for row in _methods(rows)}
    gains = [by_arm[method, "risk"] - by_arm[method, "random order"] for method, arm in by_arm if arm == "random order"]
    ahead, behind = sum(gain > SAME for gain in gains), sum(gain < -SAME for gain in gains)
    return (
        f"{_where(title, forget)}: better than random groups for {ahead} of {len(gains)} methods, worse for {behind} "
        f"(mean ToW, by more than {SAME:g})."
    )


def _difficulty(title: str, rows: list[TableRow]) -> str:
    found = {
        row.method: correlation.mean
        for row in reversed(rows)
        if row.method and (correlation := row.measure("risk_and_forgettability")) is not None
    }
    retrained = found.pop("retrain")
    low, high = min(found, key=lambda name: found[name]), max(found, key=lambda name: found[name])
    return (
        f"{title}: Spearman's ρ of risk and how far a sample's margin falls is {retrained:+.2f} when the model is "
        f"retrained, and from {found[low]:+.2f} ({METHOD[low]}) to {found[high]:+.2f} ({METHOD[high]}) under the "
        "methods."
    )
