"""Verdicts from stored results: gathered, corrected over what is claimed, and decided again where the rule changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from privaudit.artifacts import REPRODUCTION
from privaudit.errors import EvidenceError, UsageError
from privaudit.report.reproduction.write_reproduction import render_reproduction
from privaudit.reproduction.claims.catalogue import BY_NAME
from privaudit.reproduction.verdicts.experiment_results import answer, read_runs, write_answer
from privaudit.reproduction.verdicts.family import together, verdicts_from, with_family
from privaudit.results.base import write_result
from privaudit.results.report_paths import ReportPaths
from privaudit.results.reproduction_results import (
    RESULTS,
    RUNS,
    VERDICTS,
    DecisionSummary,
    ExperimentFacts,
    ExperimentResults,
    StudyVerdicts,
    read_experiment,
)
from privaudit.runtime import files
from privaudit.runtime.progress import talk


def run_decide(out: Path, *, show_samples: bool = False) -> DecisionSummary:
    """Decide every stored study again, and write their report; nothing is trained or unlearned.

    Parameters
    ----------
    out
        Below which ``reproduction/<study>/<experiment>/`` lie.
    show_samples
        As `render_reproduction` takes it.

    Raises
    ------
    UsageError
        Where there are none.
    """
    studies = sorted({path.parent.parent for path in (out / REPRODUCTION).glob(f"*/*/{RESULTS}")})
    if not studies:
        raise UsageError(
            f"there are no results below {out / REPRODUCTION}",
            hint="privaudit reproduce NAME… makes them; --out says where they are.",
        )
    verdicts = {}
    for study in studies:
        for path in sorted(study.glob(f"*/{RESULTS}")):
            _decide_again(path.parent)
        verdicts[study.name] = write_verdicts(study)
    return DecisionSummary(studies=verdicts, report=render_reproduction(out / REPRODUCTION, show_samples=show_samples))


def run_decide_files(paths: Sequence[str]) -> DecisionSummary:
    """Decide single experiments from their ``results.json`` alone; nothing is written.

    Raises
    ------
    UsageError
        Where a file is none, or of an earlier version.
    """
    studies = {}
    for path in paths:
        name, verdicts = verdicts_from(Path(path))
        studies[path] = StudyVerdicts.model_validate({name: verdicts})
    return DecisionSummary(studies=studies, report=ReportPaths(html=None, pdf=None))


def write_verdicts(study: Path) -> StudyVerdicts:
    """Gather every experiment that has been run in a study, judge all of them together, and write the verdicts down.

    Each ``results.json`` then holds the p-values of all claims, so that its verdicts follow from it alone. Those of an
    earlier version are decided again by the present rule.
    """
    experiments: dict[Path, ExperimentResults] = {}
    for path in sorted(study.glob(f"*/{RESULTS}")):
        found = read_experiment(path) if files.is_whole(path) else None
        if found is not None and (found.verdicts is None or found.family is None):
            found = _decide_again(path.parent)
        if found is None:
            talk(f"  left out of the verdicts: {path.parent} (unfinished or damaged; run it again)")
        else:
            experiments[path] = found
    family = together([*experiments.values()])
    verdicts = {}
    for path, found in experiments.items():
        judged = with_family(found, family)
        if judged != found:
            write_result(path, judged)
        if judged.claim:
            verdicts[path.parent.name] = judged.verdicts
    gathered = StudyVerdicts.model_validate(verdicts)
    write_result(study / VERDICTS, gathered)
    return gathered


def _decide_again(place: Path) -> ExperimentResults | None:
    """An experiment's results by the present rule, from its stored runs; None where they are damaged or do not do."""
    if any(files.inspect_seal(place / name) in (files.Seal.DAMAGED, files.Seal.ABSENT) for name in (RESULTS, RUNS)):
        return None
    before, runs = read_experiment(place / RESULTS), read_runs(place / RUNS)
    if before is None or before.name not in BY_NAME:
        return None
    # One audit answers Figure 1, not runs: its verdicts stand as they are.
    given = before.contrasts if len(runs) == 0 else None
    facts, runs = without_former_reliability(before, runs)
    try:
        found = answer(BY_NAME[before.name], runs, facts, given)
    except EvidenceError as error:
        talk(f"  {place}: {error}")
        return None
    write_answer(found, runs, place.parent)
    return found


def without_former_reliability(facts: ExperimentFacts, runs: pd.DataFrame) -> tuple[ExperimentFacts, pd.DataFrame]:
    """Return facts and runs without what rests on a reliability that has no interval.

    Earlier versions foretold it by Spearman and Brown's formula, which is mostly too high, so that a correlation over
    its root is too low. It can't be told anew without the audit's signals: running the experiment again tells it.
    """
    if facts.about.reliability is None or facts.about.reliability_ci is not None:
        return facts, runs
    about = facts.about.model_copy(update={"reliability": None})
    if "corrected_correlation" in runs:
        runs = runs.assign(corrected_correlation=float("nan"))
    return facts.model_copy(update={"about": about}), runs
