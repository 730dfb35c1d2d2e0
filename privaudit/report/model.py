"""The report's content, built from stored results alone, for any rendering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from privaudit import files
from privaudit.errors import UsageError
from privaudit.progress import talk
from privaudit.report import evidence, findings, inversion, words
from privaudit.report.parts import Report

REMEDY = "Run the same privaudit score again: it makes the results anew."


def build_report(folder: Path) -> Report:
    """Read an audit's results below ``<out>/<audit>/`` and say what they mean."""
    if not (folder / "score.json").is_file() or not (folder / "scores.parquet").is_file():
        raise UsageError(
            f"{folder} holds no results of an audit", hint="Run privaudit score first, with the same --out."
        )
    for name in ("score.json", "scores.parquet"):
        files.demand_whole(folder / name, REMEDY)
    results = files.read_json(folder / "score.json")
    table = pd.read_parquet(folder / "scores.parquet")
    table = table[~table["canary"]]
    runs = _read_runs(folder)
    about = results["about"]
    sections = [
        findings.what_was_audited(results),
        findings.how_well_attacked(results),
        findings.who_is_exposed(table, results),
        findings.risk_and_shift(table, results),
        *inversion.sections(results, table, folder),
        *(
            findings.what_was_unlearned(results, run, forgetting, index)
            for index, (run, forgetting) in enumerate(runs, start=1)
        ),
        evidence.controls(results),
        *evidence.epsilon(results),
        evidence.limits(results, bool(runs)),
        evidence.how_to_reproduce(results, [run for run, _ in runs]),
    ]
    return Report(
        title=_title(about),
        subtitle=f"{about['audit']} · {results['samples']:,} training samples · {results['shadows']} shadow models",
        finding=words.finding(results, [run for run, _ in runs]),
        facts=findings.headline_facts(results, table),
        sections=sections,
    )


def _title(about: dict[str, Any]) -> str:
    if "given" in about:
        return f"Privacy audit of the models of {about['given']['file']}"
    return f"Privacy audit of {about['identity']['network']} on {about['identity']['dataset']}"


def _read_runs(folder: Path) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Metrics and per-sample table of every whole unlearning run, in the order in which they were made."""
    runs = []
    for metrics in folder.glob("unlearn/*/metrics.json"):
        table = metrics.with_name("forgetting.parquet")
        if files.is_whole(metrics) and files.is_whole(table):
            runs.append((files.read_json(metrics), pd.read_parquet(table)))
        else:
            talk(f"  left out of the report: {metrics.parent} (unfinished or damaged; run it again)")
    return sorted(runs, key=lambda found: (found[0]["number"], found[0]["run"]))
