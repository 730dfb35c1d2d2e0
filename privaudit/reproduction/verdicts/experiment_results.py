"""What follows from an experiment's runs: contrasts and their verdicts, tables; and how it stands on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from privaudit.audit.result_files import spreadsheet_text
from privaudit.reproduction.claims.arms import means_of
from privaudit.reproduction.claims.experiment import CLASSES, KEYS, Experiment
from privaudit.reproduction.claims.independent_units import by_unit, with_units
from privaudit.reproduction.claims.printed_figures import printed
from privaudit.reproduction.verdicts.family import alone, decisions
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
from privaudit.trials.order_comparison import DO_NOTHING

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


#: Where doing nothing is closer to the retrained model than this, there is no way to speak of a share of.
SHORTEST_WAY = 0.02


def against_nothing(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with what they changed against doing nothing on the same seed and set.

    Parameters
    ----------
    runs
        One row a run, with ``seed``, ``set``, ``arm``, ``forget_gap`` (the distance of its accuracy on D_u to that of
        a model retrained without it) and, where they were measured, ``forget`` with ``retrained_forget`` and
        ``log_relearn`` with ``log_relearn_ratio``; every seed and set with a row of doing nothing.

    Returns
    -------
    pandas.DataFrame
        With ``gap_change``, the gap of doing nothing less the run's: positive where it came closer; ``gap_closed``,
        that as a share of the way, NaN where the way is shorter than `SHORTEST_WAY`; ``fall``, by how much accuracy on
        D_u fell; ``past_half``, that less half of how much it falls when the model is retrained; ``way_gone``, the
        fall as a share of the set's mean way over all seeds; and ``relearn_past_half``, the same as ``past_half`` for
        the logarithm of steps to relearn. Differences, not shares, decide: a share of a short way is mostly noise. What
        ends in ``_most`` is what the measure would be were it the whole way.
    """
    if "forget_gap" not in runs:
        return runs
    nothing = runs[runs["arm"] == DO_NOTHING].set_index(["seed", "set"])
    places = pd.MultiIndex.from_frame(runs[["seed", "set"]])

    def of_nothing(column: str) -> pd.Series[float]:
        return pd.Series(nothing[column].reindex(places).to_numpy(), runs.index, dtype=float)

    before = of_nothing("forget_gap")
    change = before - runs["forget_gap"]
    found = runs.assign(gap_change=change, gap_closed=(change / before).where(before >= SHORTEST_WAY))
    if {"forget", "retrained_forget"} <= set(runs):
        fall = of_nothing("forget") - runs["forget"]
        way = of_nothing("forget") - of_nothing("retrained_forget")
        mean_way = runs["set"].map(_mean_way(nothing))
        found = found.assign(
            fall=fall,
            past_half=fall - way / 2,
            past_half_most=way / 2,
            way_gone=(fall / mean_way).where(mean_way >= SHORTEST_WAY),
        )
    if {"log_relearn", "log_relearn_ratio"} <= set(runs):
        gone = runs["log_relearn"] - of_nothing("log_relearn")
        way = -of_nothing("log_relearn_ratio")
        found = found.assign(relearn_past_half=gone - way / 2, relearn_past_half_most=way / 2)
    return found


def _mean_way(nothing: pd.DataFrame) -> pd.Series[float]:
    """By set, how much accuracy on D_u falls when the model is retrained: the mean over independent draws."""
    way = nothing["forget"] - nothing["retrained_forget"]
    of_draws = nothing.reset_index()
    rows = of_draws[["seed", "set"]].assign(way=way.to_numpy(), unit=by_unit(of_draws))
    means: pd.Series[float] = rows.groupby(["set", "unit"])["way"].mean().groupby("set").mean()
    return means
