"""The report's content, built from stored results alone, for any rendering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from privaudit import files
from privaudit.errors import UsageError
from privaudit.report import evidence, findings, words
from privaudit.report.parts import Report


def build_report(folder: Path) -> Report:
    """Read an audit's results below ``<out>/<audit>/`` and say what they mean."""
    if not (folder / "score.json").is_file() or not (folder / "scores.parquet").is_file():
        raise UsageError(
            f"{folder} holds no results of an audit", hint="Run privaudit score first, with the same --out."
        )
    results = files.read_json(folder / "score.json")
    table = pd.read_parquet(folder / "scores.parquet")
    table = table[~table["canary"]]
    runs = [_read_run(path.parent) for path in sorted(folder.glob("unlearn/*/metrics.json"))]
    about = results["about"]
    sections = [
        findings.what_was_audited(results),
        findings.how_well_attacked(results),
        findings.who_is_exposed(table, results),
        findings.risk_and_shift(table, results),
        *(findings.what_was_unlearned(run, forgetting, index) for index, (run, forgetting) in enumerate(runs, start=1)),
        evidence.controls(results),
        evidence.limits(results, bool(runs)),
        evidence.how_to_reproduce(results, [run for run, _ in runs]),
    ]
    return Report(
        title=f"Privacy audit of {about['identity']['network']} on {about['identity']['dataset']}",
        subtitle=f"{about['audit']} · {results['samples']:,} training samples · {results['shadows']} shadow models",
        finding=words.finding(results, [run for run, _ in runs]),
        facts=findings.headline_facts(results, table),
        sections=sections,
    )


def _read_run(folder: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    return files.read_json(folder / "metrics.json"), pd.read_parquet(folder / "forgetting.parquet")
