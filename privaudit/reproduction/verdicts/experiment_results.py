"""What follows from an experiment's runs: contrasts and their verdicts, tables; and how it stands on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from privaudit.audit.result_files import spreadsheet_text
from privaudit.reproduction.claims.arms import ARMS
from privaudit.reproduction.claims.experiment import CLASSES, Experiment
from privaudit.reproduction.claims.independent_units import with_units
from privaudit.reproduction.claims.printed_figures import printed
from privaudit.reproduction.verdicts.gaps import against_nothing
from privaudit.reproduction.verdicts.verdict import RULE, decide, measure_contrast
from privaudit.runtime import files

RESULTS, RUNS = "results.json", "results.csv"

#: Besides the mean, the spread over seeds is shown of these.
MEASURES = (
    "forget", "retain", "test", "retrained_forget", "tow", "mia_efficacy", "mia_gap", "mia_gap_to_original",
    "jensen_shannon", "forget_gap", "gap_change", "gap_closed", "called_members", "relearn", "log_relearn",
    "log_relearn_ratio",
    "risk_and_forgettability", "risk_and_fidelity", "risk_and_shift", "risk_and_loss", "forget_steps_run",
    "retain_steps_run", "processor_seconds", "asr", "entropy", "tail", "correlation", "corrected_correlation",
    "excess_correlation", "interval_correlation",
)  # fmt: skip


def answer(
    experiment: Experiment, runs: pd.DataFrame, facts: dict[str, Any], given: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return an experiment's results as they stand in ``results.json``.

    Everything in them but ``facts`` follows from the catalogue and the runs, so that stored runs can be decided again.

    Parameters
    ----------
    experiment
        Of the catalogue.
    runs
        One row a run; empty where the answer does not come from runs.
    facts
        ``about``, ``parameters``, ``not_applicable``, ``figures``.
    given
        Contrasts by protocol that hold their verdicts already (Figure 1, which one audit answers).
    """
    runs = against_nothing(with_units(runs, facts["about"]["dataset"]))
    contrasts = given or {
        protocol: measure_contrast(runs, contrast) for protocol, contrast in experiment.contrasts().items()
    }
    return {
        "name": experiment.name,
        "title": experiment.title,
        "claim": experiment.claim,
        "protocol": {"as_in_paper": experiment.protocol, "controlled": experiment.control},
        "rule": RULE,
        "about": facts["about"],
        "arms": {arm: ARMS[arm].means for arm in experiment.arms} if experiment.methods else {},
        "parameters": facts["parameters"],
        "not_applicable": facts["not_applicable"],
        "contrasts": contrasts,
        "verdicts": {protocol: _verdict(contrast) for protocol, contrast in contrasts.items()},
        "secondary": [
            found for contrast in experiment.secondary if (found := measure_contrast(runs, contrast)) is not None
        ],
        "by_method": _by_method(runs, experiment),
        "table": _summary(runs),
        "figures": facts["figures"],
        "paper": printed(experiment.name, facts["about"]["dataset"]),
    }


def write_answer(found: dict[str, Any], runs: pd.DataFrame, folder: Path) -> None:
    """Write an experiment's results, and its runs beside them."""
    place = folder / found["name"]
    files.write_text(place / RUNS, spreadsheet_text(runs))
    files.seal(place / RUNS)
    files.write_json(place / RESULTS, found)
    files.seal(place / RESULTS)


def read_runs(path: Path) -> pd.DataFrame:
    """Return the runs of a ``results.csv`` as they were; none where the file holds none."""
    if not path.read_text("utf-8").strip():
        return pd.DataFrame()
    runs = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype={"unit": "string", "set": "string"})
    return runs.assign(method=runs["method"].fillna("").astype(str))


def _verdict(contrast: dict[str, Any] | None) -> dict[str, Any]:
    if contrast is None:
        return {"verdict": "not run", "p_corrected": None}
    return {"verdict": contrast["verdict"], "p_corrected": None} if "verdict" in contrast else decide(contrast)


def _by_method(runs: pd.DataFrame, experiment: Experiment) -> list[dict[str, Any]]:
    """The controlled contrast of each method alone: what its mean is made of."""
    contrast = experiment.controlled
    if contrast is None or len(contrast.methods) < 2:
        return []
    alone = [replace(contrast, methods=(method,)) for method in contrast.methods]
    return [found for one in alone if (found := measure_contrast(runs, one)) is not None]


def _summary(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds (or classes) of every measure, a row for each set, method and arm."""
    if not len(runs):
        return []
    rows = []
    for (name, method, arm), group in runs.groupby(["set", "method", "arm"], sort=False):
        row: dict[str, Any] = {"set": name, "method": method, "arm": arm, "seeds": len(group)}
        if name == CLASSES:
            row["classes"] = int(group["unit"].nunique())
        for measure in MEASURES:
            if measure not in group:
                continue
            # A class that several seeds drew counts once.
            values = group[measure].astype(float).groupby(group["unit"], sort=False).mean().dropna()
            if values.size:
                row[measure] = {
                    "mean": float(values.mean()),
                    "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
                }
        row["stopped"] = int(group["stopped"].notna().sum()) if "stopped" in group else 0
        row["n"] = int(group["n"].iloc[0]) if "n" in group else None
        rows.append(row)
    return rows
