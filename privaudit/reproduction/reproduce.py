"""`privaudit reproduce`: run experiments of the paper on one dataset, and write down what they answer."""

from __future__ import annotations

import difflib
import time
from pathlib import Path

import pandas as pd

from privaudit.artifacts import REPRODUCTION
from privaudit.audit import result_files
from privaudit.audit.plan import plan_audit, replace_settings
from privaudit.commands.score import run_score
from privaudit.commands.unlearning.unlearn_inputs import with_scores
from privaudit.config import AuditSettings, ReproduceSettings
from privaudit.errors import EvidenceError, UsageError
from privaudit.report.reproduction.write_reproduction import render_reproduction
from privaudit.reproduction.claims.arms import means_of
from privaudit.reproduction.claims.catalogue import BY_NAME, EXPERIMENTS
from privaudit.reproduction.claims.experiment import Experiment, ExperimentDescription
from privaudit.reproduction.claims.experiment_size import Scale, audit_settings, scale_of
from privaudit.reproduction.from_scores import has_features, inversion_of_audit, runs_of_groups
from privaudit.reproduction.reproduce_estimate import estimate_reproduction
from privaudit.reproduction.study import Choices, Study
from privaudit.reproduction.verdicts.decide import write_verdicts
from privaudit.reproduction.verdicts.experiment_results import answer, write_answer
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import read_result
from privaudit.results.reproduction_results import (
    RESULTS,
    VERDICTS,
    ExperimentResults,
    ExperimentSummary,
    ReproductionEstimate,
    ReproductionSummary,
    ShownData,
)
from privaudit.runtime import files
from privaudit.runtime.progress import readable_time, talk
from privaudit.shadow.store import AuditStore
from privaudit.unlearning.application.retrained_models import expected_seconds


def list_experiments() -> list[ExperimentDescription]:
    """Every experiment with its claim, protocols and contrasts, for people and for ``--list --json``."""
    return [
        ExperimentDescription(
            name=experiment.name,
            title=experiment.title,
            claim=experiment.claim,
            as_in_paper=experiment.protocol,
            controlled=experiment.control,
            sets=experiment.sets,
            methods=experiment.methods,
            arms=means_of(experiment),
            contrasts=experiment.contrasts(),
            secondary=experiment.secondary,
        )
        for experiment in BY_NAME.values()
    ]


def chosen(names: tuple[str, ...]) -> list[Experiment]:
    """Experiments by name; ``all`` means the paper's eleven."""
    if not names:
        raise UsageError("reproduce what?", hint=f"One or more of: {', '.join(BY_NAME)}, or all.")
    wanted: dict[str, Experiment] = {}
    for name in names:
        if name == "all":
            wanted |= {experiment.name: experiment for experiment in EXPERIMENTS}
        elif name in BY_NAME:
            wanted[name] = BY_NAME[name]
        else:
            near = difflib.get_close_matches(name, BY_NAME, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            raise UsageError(f"no experiment '{name}'.{meant}", hint=f"Known: {', '.join(BY_NAME)}, all.")
    return list(wanted.values())


def run_reproduce(settings: ReproduceSettings) -> ReproductionSummary:
    """Run experiments, or find what was run before; return what ``reproduce --json`` prints."""
    experiments, scale = chosen(settings.names), scale_of(settings.scale)
    began = time.perf_counter()
    wanted = _audit_of(settings.base, scale, experiments)
    audit = run_score(wanted)["audit"]
    out, reproductions = wanted.out / audit, wanted.out / REPRODUCTION
    folder = reproductions / f"{audit}-{scale.name}"
    with AuditStore(wanted.store, audit).locked():
        opened = with_scores(plan_audit(wanted), out)
        plan, table = opened.plan, opened.bench.table
        results = read_result(out / result_files.RESULTS, ScoreResults)
        study = Study(plan, table, out, scale, settings.seeds or scale.seeds_for(wanted.dataset), results)
        found = _run_experiments(study, experiments, folder)
        verdicts = write_verdicts(folder).by_experiment
    return ReproductionSummary(
        audit=audit,
        scale=scale.name,
        seeds=study.seeds,
        folder=str(folder),
        experiments={
            one.name: ExperimentSummary(
                claim=one.claim, verdicts=verdicts.get(one.name), results=str(folder / one.name / RESULTS)
            )
            for one in found
        },
        report=render_reproduction(reproductions, show_samples=wanted.show_samples),
        seconds=round(time.perf_counter() - began, 1),
    )


def estimate_reproduce(settings: ReproduceSettings) -> ReproductionEstimate:
    """Say what the experiments will cost; nothing is trained or written."""
    experiments, scale = chosen(settings.names), scale_of(settings.scale)
    wanted = _audit_of(settings.base, scale, experiments)
    seeds = settings.seeds or scale.seeds_for(wanted.dataset)
    return estimate_reproduction(plan_audit(wanted, embed=False), experiments, scale, seeds)


def _audit_of(base: AuditSettings, scale: Scale, experiments: list[Experiment]) -> AuditSettings:
    """The audit that serves all experiments; without inversions where none needs them and none were made."""
    wanted = audit_settings(scale, base)
    if any(experiment.needs_inversion for experiment in experiments):
        # What `score` inverts of itself is enough for its brief, not for groups that are compared.
        return wanted if wanted.invert is not None else replace_settings(wanted, invert="groups")
    results = wanted.out / plan_audit(wanted).name / result_files.RESULTS
    # Scoring without inversions would take away those that the scores hold already.
    if files.is_whole(results) and read_result(results, ScoreResults).inversion is not None:
        return wanted
    return replace_settings(wanted, invert=0)


def _run_experiments(study: Study, experiments: list[Experiment], folder: Path) -> list[ExperimentResults]:
    """Make whatever models and trials are missing; write down what each experiment answers."""
    for experiment in experiments:
        demand_inversions(experiment, study.audit)
    talk(
        f"reproducing {', '.join(experiment.name for experiment in experiments)} at --scale {study.scale.name}: "
        f"{study.seeds} seeds, about {readable_time(expected_seconds(study.plan, len(study.table)))} a model on one "
        "worker"
    )
    files.claim(folder.parent)
    choices = study.run([experiment for experiment in experiments if experiment.methods])
    # Verdicts on what was found before would stand beside what is found now, were this killed in between.
    files.remove(folder / VERDICTS)
    return [_answer(experiment, study, choices, folder) for experiment in experiments]


def demand_inversions(experiment: Experiment, results: ScoreResults) -> None:
    """Before hours of work: is there what this experiment chooses its samples, or is answered, by?"""
    if not experiment.needs_inversion:
        return
    if not has_features(results):
        raise EvidenceError(
            f"{experiment.name} needs inversions, and audit {results.audit} has none",
            hint="Only image networks that end in a fully connected layer can be inverted so; leave it out.",
        )
    if experiment.name == "figure1":
        inversion_of_audit(results)


def _answer(experiment: Experiment, study: Study, choices: Choices, folder: Path) -> ExperimentResults:
    """One experiment's runs, contrasts and figures, on disk and as it is there."""
    runs, shown, contrasts = pd.DataFrame(), ShownData(), None
    inversion = study.audit.inversion
    if experiment.name == "figure1" and inversion is not None:
        contrasts = inversion_of_audit(study.audit)
        shown = ShownData(matching=inversion.matching, at=inversion.at)
    elif experiment.methods:
        runs = study.runs(experiment, choices)
    else:
        runs, shown = runs_of_groups(study)
    found = answer(experiment, runs, study.facts(experiment, choices, shown), contrasts)
    write_answer(found, runs, folder)
    return found
