"""A section on privacy risk for a model card, as Markdown: what was tested, what was found, what it does not say."""

from __future__ import annotations

import re
from pathlib import Path

from privaudit.report.brief.limit_checks import distrust
from privaudit.report.content import wording
from privaudit.report.content.elements import Report
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import read_result
from privaudit.runtime import files

MODEL_CARD = "model-card.md"


def write_model_card(folder: Path, report: Report) -> Path:
    """Write ``model-card.md`` beside the report and return its path; no sample is named in it."""
    path = folder / MODEL_CARD
    files.write_text(path, model_card(read_result(folder / "score.json", ScoreResults), report))
    files.seal(path)
    return path


def model_card(results: ScoreResults, report: Report) -> str:
    """Return the section: a heading of the second level, a table of figures, and the limits."""
    lira = results.attacks["lira"]
    rows = [("Do not rely on this audit", why)] if (why := distrust(results)) else []
    rows += [
        ("Audit", f"{results.audit}: {results.samples:,} training samples, {results.shadows} shadow models"),
        ("Members found at 1% false alarms", wording.found_at(lira, "0.01")),
        ("Members found at 0.1% false alarms", wording.found_at(lira, "0.001")),
        ("AUC (½ is guessing)", wording.area(lira)),
    ]
    if (own := (results.calibrated or {}).get("0.01")) is not None:
        rows.append(("Found where each sample keeps 1% by itself", wording.percent(own.tpr)))
    if results.union is not None and (union := results.union.at_fpr.get("0.01")) is not None:
        rows.append((f"Found by any of {len(results.union.attacks)} attacks, 1% together", wording.percent(union.tpr)))
    if results.target is not None:
        rows.append(("The target model itself, AUC", wording.area(results.target)))
    if (accuracy := results.accuracy) is not None and accuracy.target_test is not None:
        rows.append(("Accuracy on test samples", wording.percent(accuracy.target_test)))
    if results.epsilon is not None:
        rows.append(("ε is at least, by one training", f"{results.epsilon.one_run.epsilon:.2f}"))
    rows.append(("Warnings in the report", str(len(results.warnings or ()))))
    lines = [f"| {_cell(what)} | {_cell(said)} |" for what, said in rows]
    return "\n".join(
        [
            "## Privacy risk: membership inference",
            "",
            "| Measured | Value |",
            "|---|---|",
            *lines,
            "",
            _cell(report.limits),
            "",
            f"Measured by {_cell(report.made_by)}; intervals are 95%. The whole report: `report.html`, `report.pdf`.",
            "",
        ]
    )


def _cell(text: str) -> str:
    """Text that Markdown shows as it is: no name can end a cell, begin a tag or link anywhere."""
    return re.sub(r"([\\`*_\[\]<>|#&~])", r"\\\1", " ".join(wording.inert(text).split()))
