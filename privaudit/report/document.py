"""The report's content, built from stored results alone, for any rendering."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from privaudit import __version__
from privaudit.errors import UsageError
from privaudit.report import redaction
from privaudit.report.content import unlearning_wording, wording
from privaudit.report.content.elements import Report
from privaudit.report.content.glossary import GLOSSARY, REFERENCES
from privaudit.report.drawing.figures import with_tables, without_samples
from privaudit.report.explorer import explore
from privaudit.report.redaction import Privacy
from privaudit.report.sample_ids import Naming
from privaudit.report.sample_images import sample_pictures
from privaudit.report.sections import (
    attack_results,
    evidence,
    exposure,
    gradient_inversion,
    orders_and_purges,
    summary,
    unlearning_results,
)
from privaudit.results.score_results import ScoreResults
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.scoring.score_table import demand_columns, demand_own

REMEDY = "Run the same privaudit score again: it makes the results anew."
MADE_BY = f"privaudit {__version__}"

Run = tuple[dict[str, Any], pd.DataFrame]


@dataclass(frozen=True)
class Content:
    """A report and the samples that its explorer shows."""

    report: Report
    samples: pd.DataFrame


def build_content(folder: Path, shown: Privacy | None = None) -> Content:
    """The report, and beside it the samples of the explorer; ids are named, redacted or not, when all is there."""
    shown = shown or Privacy()
    if not (folder / "score.json").is_file() or not (folder / "scores.parquet").is_file():
        raise UsageError(
            f"{folder} holds no results of an audit", hint="Run privaudit score first, with the same --out."
        )
    for name in ("score.json", "scores.parquet"):
        files.demand_whole(folder / name, REMEDY)
    results = _as_before(files.read_json(folder / "score.json"))
    demand_own(folder, ScoreResults.model_validate(results))
    table = demand_columns(pd.read_parquet(folder / "scores.parquet"), folder / "scores.parquet")
    table = table[~table["canary"]].reset_index(drop=True)
    naming = Naming(table["sample_id"], redaction.salt_of(folder, shown))
    table, results = naming.enter_table(table), naming.enter_results(results)
    runs = [(naming.enter_results(run), naming.enter_table(forgetting)) for run, forgetting in _read_runs(folder)]
    pictures = sample_pictures(folder, table, results, naming) if shown.show_samples else []
    notices = [redaction.SHOWN] if shown.show_samples else []
    notices += [redaction.REDACTED] if naming.redacts else []
    metrics = [run for run, _ in runs]
    compared = [naming.enter_results(found) for found in _comparisons_of_orders(folder)]
    about = results["about"]
    sections = [
        attack_results.what_was_audited(results),
        attack_results.how_well_attacked(results),
        exposure.who_is_exposed(table, results),
        *(found.section() for found in pictures),
        attack_results.risk_and_shift(table, results),
        *gradient_inversion.sections(results, table, folder, show_samples=shown.show_samples),
        *(
            unlearning_results.section_of_run(results, run, forgetting, index)
            for index, (run, forgetting) in enumerate(runs, start=1)
        ),
        *(orders_and_purges.section_of_comparison(found, index) for index, found in enumerate(compared, start=1)),
        *orders_and_purges.sections_on_purging(results),
        evidence.controls(results),
        *evidence.epsilon(results),
        evidence.limits(results, bool(runs)),
        evidence.how_to_reproduce(results, metrics, _hashes(folder, metrics)),
    ]
    explorer, samples = explore(table, runs, files.sha256_of(folder / "scores.parquet"), results)
    report = Report(
        title=_title(about),
        subtitle=f"{about['audit']} · {results['samples']:,} training samples · {results['shadows']} shadow models",
        finding=wording.finding(results, [unlearning_wording.summary(run)[-1] for run in metrics[-1:]]),
        facts=summary.headline_facts(results, table),
        sections=with_tables(sections if shown.show_samples else without_samples(sections)),
        limits=wording.IN_BRIEF,
        notices=notices,
        overview=summary.answers(results, table, metrics, compared),
        glossary=GLOSSARY,
        references=REFERENCES,
        explorer=explorer,
        made_by=MADE_BY,
    )
    return Content(naming.resolve(report), samples.assign(sample_id=naming.column(samples["sample_id"])))


def _as_before(results: dict[str, Any]) -> dict[str, Any]:
    """Until the sections take objects: without keys that are null now and were left out before."""
    for part in (results["about"], results["accuracy"], results["about"].get("identity")):
        for name in [name for name, value in (part or {}).items() if value is None and name != "recipe"]:
            del part[name]
    features = (results.get("inversion") or {}).get("features") or {}
    for name in ("random", "restarts", "labels_right", "steps", "objective_and_psnr"):
        features.pop(name, None)
    return results


def _comparisons_of_orders(folder: Path) -> list[dict[str, Any]]:
    """Every whole comparison of orders of this audit, by name."""
    found = [
        files.read_json(path) for path in sorted(folder.glob("compare-orders/*/results.json")) if files.is_whole(path)
    ]
    return [one for one in found if one.get("audit", folder.name) in (folder.name, folder.resolve().name)]


def _title(about: dict[str, Any]) -> str:
    if "given" in about:
        return f"Privacy audit of the models of {about['given']['file']}"
    return f"Privacy audit of {about['identity']['network']} on {about['identity']['dataset']}"


def _hashes(folder: Path, runs: list[dict[str, Any]]) -> list[list[str]]:
    """Name and SHA-256 of every file that the report was made from."""
    names = {run["run"]: unlearning_wording.shown_name(run) for run in runs}
    used = [[name, files.sha256_of(folder / name)] for name in ("score.json", "scores.parquet")]
    return used + [
        [f"unlearn/{names[path.parent.name]}/metrics.json", files.sha256_of(path)]
        for path in sorted(folder.glob("unlearn/*/metrics.json"))
        if path.parent.name in names
    ]


def _read_runs(folder: Path) -> list[Run]:
    """Metrics and per-sample table of every whole unlearning run, in the order in which they were made."""
    runs = []
    for metrics in folder.glob("unlearn/*/metrics.json"):
        table = metrics.with_name("forgetting.parquet")
        if not (files.is_whole(metrics) and files.is_whole(table)):
            talk(f"  left out of the report: {metrics.parent} (unfinished or damaged; run it again)")
            continue
        run = files.read_json(metrics)
        if "sequencing" not in run:
            talk(f"  left out of the report: {metrics.parent} (made by an earlier version; run it again)")
            continue
        if (owner := run.get("audit", folder.name)) not in (folder.name, folder.resolve().name):
            talk(f"  left out of the report: {metrics.parent} (a run of another audit, {owner})")
            continue
        runs.append((run, pd.read_parquet(table)))
    return sorted(runs, key=lambda found: (found[0]["number"], found[0]["run"]))
