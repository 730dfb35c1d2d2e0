"""What the table of every method in every order says, in sentences for page 1."""

from __future__ import annotations

from collections.abc import Iterator

from privaudit.report.content.elements import Answer
from privaudit.report.content.wording import number
from privaudit.report.reproduction.reproduction_texts import METHOD, TEXTS
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
    told = {
        "closest": [_closest(*part) for part in parts],
        "order": [_order(*part) for part in parts],
        "difficulty": [_difficulty(title, rows) for title, forget, rows in parts if forget == "random:10%"],
    }
    return [Answer(TEXTS.questions[name], lines, "methods") for name, lines in told.items()]


def finding(tables: list[tuple[str, list[TableRow]]], seeds: int) -> list[str]:
    """The first data set's answer to the first question, and what so few seeds are worth."""
    return [_closest(*next(_parts(tables))), TEXTS.sentences["tow"].format(seeds=seeds)]


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
    said = TEXTS.sentences["closest"].format(
        where=_where(title, forget),
        method=METHOD[best.method],
        arm=best.arm,
        best=number(best.mean("tow")),
        floor=number(floor),
        nothing=number(nothing),
    )
    return said + (": ToW tells nothing here." if nothing >= floor else ".")


def _order(title: str, forget: str, rows: list[TableRow]) -> str:
    by_arm = {(row.method, row.arm): row.mean("tow") for row in _methods(rows)}
    gains = [by_arm[method, "risk"] - by_arm[method, "random order"] for method, arm in by_arm if arm == "random order"]
    ahead, behind = sum(gain > SAME for gain in gains), sum(gain < -SAME for gain in gains)
    return TEXTS.sentences["order"].format(
        where=_where(title, forget), ahead=ahead, methods=len(gains), behind=behind, same=SAME
    )


def _difficulty(title: str, rows: list[TableRow]) -> str:
    found = {
        row.method: correlation.mean
        for row in reversed(rows)
        if row.method and (correlation := row.measure("risk_and_forgettability")) is not None
    }
    retrained = found.pop("retrain")
    low, high = min(found, key=lambda name: found[name]), max(found, key=lambda name: found[name])
    return TEXTS.sentences["difficulty"].format(
        title=title,
        retrained=retrained,
        lowest=found[low],
        low=METHOD[low],
        highest=found[high],
        high=METHOD[high],
    )
