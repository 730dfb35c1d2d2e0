"""What follows from an experiment's runs: contrasts and their verdicts, tables; and how it stands on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from privaudit.audit.result_files import spreadsheet_text
from privaudit.reproduction.claims.arms import means_of
from privaudit.reproduction.claims.experiment import CLASSES, KEYS, Experiment
from privaudit.reproduction.claims.independent_units import with_units
from privaudit.reproduction.claims.printed_figures import printed
from privaudit.reproduction.verdicts.family import alone, decisions
from privaudit.reproduction.verdicts.gaps import against_nothing
from privaudit.reproduction.verdicts.verdict import RULE, measure_contrast
from privaudit.results.base import write_result
from privaudit.results.reproduction_results import (
    RESULTS,
    RUNS,
    AuditAnswer,
    ExperimentFacts,
    ExperimentResults,
    PairedContrast,
    Spread,
    TableRow,
)
from privaudit.runtime import files

#: Besides the mean, the spread over seeds is shown of these.
MEASURES = (
    "forget", "retain", "test", "retrained_forget", "tow", "mia_efficacy", "mia_gap", "mia_gap_to_original",
    "jensen_shannon", "forget_gap", "gap_change", "gap_closed", "called_members", "relearn", "log_relearn",
    "log_relearn_ratio",
    "fall", "past_half", "way_gone", "relearn_past_half",
    "risk_and_forgettability", "risk_and_fidelity", "risk_and_shift", "risk_and_loss", "forget_steps_run",
    "retain_steps_run", "processor_seconds", "asr", "entropy", "tail", "correlation", "corrected_correlation",
    "excess_correlation", "interval_correlation", "part_correlation", "sure_excess", "intervals_of_part",
)  # fmt: skip

#: By protocol.
Answers = Mapping[str, PairedContrast | AuditAnswer | None]


def answer(
    experiment: Experiment, runs: pd.DataFrame, facts: ExperimentFacts, given: Answers | None = None
) -> ExperimentResults:
    """Return an experiment's results; all but ``facts`` follows from the catalogue and the runs, whenever it is asked.

    Parameters
    ----------
    experiment
        Of the catalogue.
    runs
        One row a run; empty where the answer does not come from runs.
    facts
        What else is known: stored results of the same runs will do.
    given
        Contrasts that hold their verdicts already (Figure 1, which one audit answers).
    """
    about = facts.about
    runs = against_nothing(with_units(runs, about.dataset))
    contrasts = given or {name: measure_contrast(runs, contrast) for name, contrast in experiment.contrasts().items()}
    controlled = experiment.controlled
    methods = controlled.methods if controlled is not None and len(controlled.methods) > 1 else ()
    of_each = [replace(controlled, methods=(method,)) for method in methods if controlled is not None]
    secondary, by_method = (
        [found for one in asked if (found := measure_contrast(runs, one)) is not None]
        for asked in (experiment.secondary, of_each)
    )
    # Those of the other claims are entered when the study is gathered (`privaudit.reproduction.verdicts.decide`).
    family = alone(experiment.name, contrasts)
    return ExperimentResults(
        name=experiment.name,
        title=experiment.title,
        claim=experiment.claim,
        protocol={"as_in_paper": experiment.protocol, "controlled": experiment.control},
        rule=RULE,
        family=family,
        about=about,
        arms=means_of(experiment),
        parameters=facts.parameters,
        not_applicable=facts.not_applicable,
        contrasts=dict(contrasts),
        verdicts=decisions(experiment.name, contrasts, family),
        secondary=secondary,
        by_method=tuple(by_method),
        table=[_table_row(group) for _, group in runs.groupby(list(KEYS), sort=False)] if len(runs) else [],
        figures=facts.figures,
        paper=printed(experiment.name, about.dataset),
    )


def write_answer(found: ExperimentResults, runs: pd.DataFrame, folder: Path) -> None:
    """Write an experiment's results, and its runs beside them."""
    place = folder / found.name
    files.write_text(place / RUNS, spreadsheet_text(runs))
    files.seal(place / RUNS)
    write_result(place / RESULTS, found)


def read_runs(path: Path) -> pd.DataFrame:
    """Return the runs of a ``results.csv`` as they were; none where the file holds none."""
    if not path.read_text("utf-8").strip():
        return pd.DataFrame()
    runs = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype={"unit": "string", "set": "string"})
    return runs.assign(method=runs["method"].astype(object).fillna("").astype(str))


def _table_row(group: pd.DataFrame) -> TableRow:
    """Mean and standard deviation of every measure over independent draws: a class that several seeds drew is one."""
    name, method, arm = (str(group[key].iloc[0]) for key in KEYS)
    means = {}
    for measure in (measure for measure in MEASURES if measure in group):
        values = group[measure].astype(float).groupby(group["unit"], sort=False).mean().dropna()
        if values.size:
            spread = float(values.std(ddof=1)) if len(values) > 1 else None
            means[measure] = Spread(mean=float(values.mean()), sd=spread)
    return TableRow(
        set=name,
        method=method,
        arm=arm,
        seeds=len(group),
        classes=int(group["unit"].nunique()) if name == CLASSES else None,
        stopped=int(group["stopped"].notna().sum()) if "stopped" in group else 0,
        n=int(group["n"].iloc[0]) if "n" in group else None,
        **means,
    )
