"""Print the tables of docs/unlearning-results.md and docs/findings.md from the results that they are taken from.

python docs/tables.py reports/gallery/reproduction/*/methods/results.json
python docs/tables.py reports/gallery/reproduction/*-small
python docs/tables.py reports/gallery/reproduction/*/table2/results.json
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from privaudit.report.reproduction.reproduction_tables import verdicts
from privaudit.report.reproduction.reproduction_texts import METHOD
from privaudit.results.reproduction_results import StudyResults

Row = dict[str, Any]

ORDERS = {
    "at once": "none", "risk": "risk", "risk descending": "risk, descending", "random order": "random",
    "until never-seen": "until never-seen",
}  # fmt: skip
ONCE = ("ft", "l1-sparse", "ssd")

#: Title, measure, decimals.
MEASURES = (
    ("D_u", "forget", 3), ("D_r", "retain", 3), ("test", "test", 3), ("ToW", "tow", 3), ("JS", "jensen_shannon", 3),
    ("called known", "called_members", 3), ("relearn", "relearn", 0), ("CPU s", "processor_seconds", 1),
)  # fmt: skip
DIFFICULTIES = tuple((name, f"risk_and_{name}", 2) for name in ("forgettability", "fidelity", "shift"))


def tables(results: dict[str, Any]) -> list[str]:
    """What was measured, a table for each forget set; and how risk goes with difficulty where that was random."""
    found = []
    for forget in dict.fromkeys(row["set"] for row in results["table"]):
        rows = [row for row in results["table"] if row["set"] == forget]
        found.append(_table(rows, MEASURES))
        if forget.startswith("random"):
            found.append(_table([row for row in rows if row["method"]], DIFFICULTIES))
    return found


def verdict_table(study: Path) -> str:
    """Every claim that a study answered, its verdicts and what they rest on."""
    answers = [json.loads(path.read_text("utf-8")) for path in sorted(study.glob("*/results.json"))]
    decided = json.loads((study / "verdicts.json").read_text("utf-8"))
    found = verdicts([StudyResults.model_validate({"name": study.name, "experiments": answers, "verdicts": decided})])
    if found is None:
        return ""
    seeds = {answer["title"]: _draws(answer) for answer in answers}
    lines = ["| claim | draws | as in the paper | controlled |", "|---|---|---|---|"]
    for claim, *cells in found.rows:
        title = re.split("[:,]", claim)[0]
        asked = "–" if title == "Figure 1" else seeds[title]
        # Of a further protocol there is one verdict: it stands where the controlled one does.
        cells = [cell or "–" for cell in cells]
        lines.append(f"| {claim} | {asked} | {' | '.join(cell.replace('-', '−') for cell in cells)} |")
    return "\n".join(lines)


def _draws(answer: dict[str, Any]) -> str:
    """Of how many independent draws an answer is; a dash where what the rule asks for was not run."""
    contrast: dict[str, Any] | None = next((one for one in answer["contrasts"].values() if one is not None), None)
    if contrast is None:
        return "–"
    if contrast.get("unit") == "class":
        return f"{contrast['seeds']} ({contrast['pairs']} classes)"
    return str(answer["about"]["seeds"])


def by_method(answers: list[dict[str, Any]]) -> str:
    """How much further accuracy fell for the highest ASR, by method, a column for each data set; and toward what."""
    lines = [
        f"| | {' | '.join(answer['about']['dataset'] for answer in answers)} |",
        "|---" * (len(answers) + 1) + "|",
        f"| *distance to retraining where nothing is done* | "
        f"{' | '.join(_contrast(_of_nothing(answer)) for answer in answers)} |",
    ]
    for title, measure in (
        ("*how much more of it was closed*", "gap_change"),
        ("*share of its own way closed, highest ASR*", "gap_closed"),
    ):
        lines.append(f"| {title} | {' | '.join(_contrast(_of(answer, measure)) for answer in answers)} |")
    lines.append(f"| all five methods | {' | '.join(_contrast(one['contrasts']['controlled']) for one in answers)} |")
    for one in zip(*(answer["by_method"] for answer in answers), strict=True):
        lines.append(f"| {METHOD[one[0]['methods'][0]]} | {' | '.join(map(_contrast, one))} |")
    return "\n".join(lines)


def _of_nothing(answer: dict[str, Any]) -> dict[str, Any]:
    return next(found for found in answer["secondary"] if found["says"].endswith("where nothing is unlearned"))


def _of(answer: dict[str, Any], measure: str) -> dict[str, Any]:
    return next(found for found in answer["secondary"] if found["measure"] == measure)


def _contrast(found: dict[str, Any]) -> str:
    mean, *bounds = (f"{value:+.3f}".replace("-", "−") for value in (found["mean"], *(found["ci"] or ())))
    if not bounds:
        return f"{mean} (no interval)"
    low, high = bounds
    return f"{mean} ({low} to {high})"


def _table(rows: list[Row], measures: tuple[tuple[str, str, int], ...]) -> str:
    lines = [
        "| method | order | " + " | ".join(title for title, _, _ in measures) + " |",
        "|---" * (2 + len(measures)) + "|",
    ]
    for row in rows:
        cells = [_shown(row.get(measure), decimals) for _, measure, decimals in measures]
        lines.append(f"| {' | '.join([*_named(row), *cells])} |")
    return "\n".join(lines)


def _named(row: Row) -> list[str]:
    if not row["method"]:
        return ["*do nothing*", "–"]
    if row["method"] == "retrain":
        return ["*a second retraining*", "–"]
    return [f"`{row['method']}`", "–" if row["method"] in ONCE else ORDERS[row["arm"]]]


def _shown(found: dict[str, Any] | None, decimals: int) -> str:
    if found is None:
        return "–"
    spread = "" if found["sd"] is None else f" ± {_number(found['sd'], decimals)}"
    return _number(found["mean"], decimals) + spread


def _number(value: float, decimals: int) -> str:
    text = f"{abs(value):.{decimals}f}"
    sign = "−" if f"{value:.{decimals}f}".startswith("-") else ""
    return sign + (text.removeprefix("0") if decimals else text)


if __name__ == "__main__":
    if {Path(name).parent.name for name in sys.argv[1:]} == {"table2"}:
        print(by_method([json.loads(Path(name).read_text("utf-8")) for name in sys.argv[1:]]))  # noqa: T201
        sys.exit()
    for name in sys.argv[1:]:
        if Path(name).is_dir():
            print(f"## {Path(name).name}\n\n{verdict_table(Path(name))}\n")  # noqa: T201
            continue
        read = json.loads(Path(name).read_text("utf-8"))
        print(f"## {read['about']['dataset']}\n")  # noqa: T201
        print("\n\n".join(tables(read)), end="\n\n")  # noqa: T201
