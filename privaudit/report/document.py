"""The report's content, built from stored results alone, for any rendering."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from privaudit import __version__
from privaudit.artifacts import ATTRIBUTES, CLASSES
from privaudit.errors import UsageError
from privaudit.report import redaction
from privaudit.report.brief.brief import build_brief
from privaudit.report.brief.declared import declared_in
from privaudit.report.content import unlearning_wording, wording
from privaudit.report.content.elements import Report, Section
from privaudit.report.content.python_call import repeated
from privaudit.report.drawing.figures import with_tables, with_tables_behind, without_samples
from privaudit.report.explorer import explore
from privaudit.report.exposure import exposed_subjects
from privaudit.report.glossary import GLOSSARY, REFERENCES
from privaudit.report.redaction import Privacy
from privaudit.report.sample_ids import Naming
from privaudit.report.sample_images import samples_shown
from privaudit.report.sections import (
    attack_results,
    evidence,
    exposure,
    gradient_inversion,
    orders_and_purges,
    requirements,
    statement,
    subjects,
    summary,
    unlearning_results,
)
from privaudit.report.sections.inferred import stored
from privaudit.report.sections.threat_models import settings_section, stored_settings
from privaudit.report.sections.threat_models.stored_settings import realistic_in
from privaudit.results.audit.score_results import About, ScoreResults
from privaudit.results.base import read_result
from privaudit.results.unlearning.run import UnlearnResults
from privaudit.results.unlearning.trials import OrderResults
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.scoring.score_table import demand_columns, demand_own

REMEDY = "Run the same privaudit score again: it makes the results anew."

#: What else the report may be made from.
BESIDE = (ATTRIBUTES.path, CLASSES.path)
MADE_BY = f"privaudit {__version__}"

#: An unlearning run's results, and what became of each sample.
Run = tuple[UnlearnResults, pd.DataFrame]


@dataclass(frozen=True)
class Content:
    """A report and the samples that its explorer shows."""

    report: Report
    samples: pd.DataFrame


def build_content(folder: Path, shown: Privacy | None = None) -> Content:
    """Build the report, and the samples of its explorer; ids are named, redacted or not, when all is there."""
    shown = shown or Privacy()
    if not (folder / "score.json").is_file() or not (folder / "scores.parquet").is_file():
        raise UsageError(
            f"{folder} holds no results of an audit", hint="Run privaudit score first, with the same --out."
        )
    for name in ("score.json", "scores.parquet"):
        files.demand_whole(folder / name, REMEDY)
    results = read_result(folder / "score.json", ScoreResults)
    demand_own(folder, results)
    table = demand_columns(pd.read_parquet(folder / "scores.parquet"), folder / "scores.parquet")
    table = exposed_subjects.with_numbers(table[~table["canary"]].reset_index(drop=True))
    naming = Naming(table["sample_id"], redaction.salt_of(folder, shown))
    table, results = naming.enter_table(table), stored.with_inferred(naming.enter_result(results), folder)
    runs = [(naming.enter_result(run), naming.enter_table(forgetting)) for run, forgetting in _read_runs(folder)]
    orders, declared = _comparisons_of_orders(folder), declared_in(folder)
    brief = build_brief(results, table, [run for run, _ in runs], declared, realistic_in(folder))
    brief = replace(
        brief,
        pictures=with_tables_behind(brief.pictures),
        distribution=with_tables_behind(brief.distribution),
    )
    sections = [
        *statement.sections(results, declared),
        *_sections(folder, shown, table, results, naming, runs, orders),
    ]
    sections.append(requirements.what_is_asked(sections))
    if not naming.redacts:
        # Equal risks stand in the order of the ranking, here as everywhere; redacted rows in that of their names.
        table = table.sort_values("rank", kind="stable").reset_index(drop=True)
    explorer, samples = explore(table, runs, files.sha256_of(folder / "scores.parquet"), results)
    report = Report(
        title=_title(results.about) if declared is None or not declared.title else wording.clip(declared.title, 120),
        subtitle=f"{results.about.audit} · {results.samples:,} training samples",
        finding=wording.finding(results, [unlearning_wording.summary(run)[-1] for run, _ in runs[-1:]]),
        facts=summary.headline_facts(results, table),
        sections=with_tables(sections if shown.show_samples else without_samples(sections)),
        limits=wording.IN_BRIEF,
        notices=[
            *([redaction.SHOWN] if shown.show_samples else []),
            *([redaction.REDACTED] if naming.redacts else []),
        ],
        brief=brief,
        overview=summary.answers(results, table, [run for run, _ in runs], orders),
        glossary=GLOSSARY,
        references=REFERENCES,
        explorer=explorer,
        made_by=MADE_BY,
    )
    return Content(naming.resolve(report), samples.assign(sample_id=naming.column(samples["sample_id"])))


def _sections(
    folder: Path,
    shown: Privacy,
    table: pd.DataFrame,
    results: ScoreResults,
    naming: Naming,
    runs: Sequence[Run],
    orders: Sequence[OrderResults],
) -> list[Section]:
    commands = [repeated(shlex.split(unlearning_wording.command(run)), results.about) for run, _ in runs]
    if realistic_in(folder) is not None:
        commands.insert(0, f"{wording.command(results)} --invert-settings realistic")
    return [
        attack_results.what_was_audited(results),
        attack_results.how_well_attacked(results),
        exposure.who_is_exposed(table, results),
        *subjects.sections(results, table),
        *([samples_shown(folder, table, results, naming)] if shown.show_samples else []),
        attack_results.risk_and_shift(table, results),
        *gradient_inversion.sections(results, table, folder, show_samples=shown.show_samples),
        *stored.sections(results, folder, show_samples=shown.show_samples),
        *settings_section.sections(folder),
        *(
            unlearning_results.section_of_run(results, run, forgetting, index)
            for index, (run, forgetting) in enumerate(runs, start=1)
        ),
        *(orders_and_purges.section_of_comparison(found, index) for index, found in enumerate(orders, start=1)),
        *orders_and_purges.sections_on_purging(results),
        evidence.controls(results),
        *evidence.epsilon(results, declared_in(folder)),
        evidence.limits(results, unlearned=bool(runs)),
        evidence.how_to_reproduce(results, commands, _hashes(folder, runs)),
    ]


def _title(about: About) -> str:
    if about.given is not None:
        return f"Privacy audit of the models of {about.given.file}"
    identity = wording.known(about.identity, "identity")
    return f"Privacy audit of {identity.network} on {identity.dataset}"


def _hashes(folder: Path, runs: Sequence[Run]) -> list[list[str]]:
    """Name and SHA-256 of every file that the report was made from."""
    names = {run.run: unlearning_wording.shown_name(run) for run, _ in runs}
    return [
        *([name, files.sha256_of(folder / name)] for name in ("score.json", "scores.parquet")),
        *([name, files.sha256_of(folder / name)] for name in BESIDE if (folder / name).is_file()),
        *(
            []
            if realistic_in(folder) is None
            else [[stored_settings.NAME, files.sha256_of(folder / stored_settings.NAME)]]
        ),
        *(
            [f"unlearn/{names[path.parent.name]}/metrics.json", files.sha256_of(path)]
            for path in sorted(folder.glob("unlearn/*/metrics.json"))
            if path.parent.name in names
        ),
    ]


def _comparisons_of_orders(folder: Path) -> list[OrderResults]:
    """Read every whole comparison of orders of this audit, by name."""
    paths = [path for path in sorted(folder.glob("compare-orders/*/results.json")) if files.is_whole(path)]
    return [found for path in paths if _is_own(folder, (found := read_result(path, OrderResults)).audit)]


def _is_own(folder: Path, audit: str | None) -> bool:
    return audit is None or audit in (folder.name, folder.resolve().name)


def _read_runs(folder: Path) -> list[Run]:
    """Read results and per-sample table of every whole unlearning run, in the order in which they were made."""
    runs = []
    for path in folder.glob("unlearn/*/metrics.json"):
        table, why = path.with_name("forgetting.parquet"), None
        if not (files.is_whole(path) and files.is_whole(table)):
            why = "unfinished or damaged; run it again"
        elif "sequencing" not in (stored := files.read_json(path)):
            why = "made by an earlier version; run it again"
        elif not _is_own(folder, stored.get("audit")):
            why = f"a run of another audit, {stored['audit']}"
        if why is None:
            runs.append((read_result(path, UnlearnResults), pd.read_parquet(table)))
        else:
            talk(f"  left out of the report: {path.parent} ({why})")
    return sorted(runs, key=lambda run: (run[0].number, run[0].run))
