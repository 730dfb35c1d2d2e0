"""`privaudit reproduce`: run experiments of the paper on one dataset, and write down what they answer."""

from __future__ import annotations

import difflib
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from privaudit.audit.plan import plan_audit, replace_settings
from privaudit.audit.result_files import REPRODUCTION, RESULTS
from privaudit.commands.score import run_score
from privaudit.commands.unlearning.unlearn_inputs import scored
from privaudit.config import AuditSettings, ReproduceSettings
from privaudit.errors import EvidenceError, UsageError
from privaudit.report.reproduction.write_reproduction import VERDICTS, render_reproduction
from privaudit.reproduction.claims.arms import ARMS
from privaudit.reproduction.claims.catalogue import BY_NAME, EXPERIMENTS
from privaudit.reproduction.claims.experiment import TUNING_SEED, Experiment
from privaudit.reproduction.claims.experiment_size import audit_settings, scale_of
from privaudit.reproduction.from_scores import inversion_of_audit, runs_of_groups
from privaudit.reproduction.study import Choices, Study
from privaudit.reproduction.verdicts.decide import write_verdicts
from privaudit.reproduction.verdicts.experiment_results import answer, write_answer
from privaudit.runtime import files
from privaudit.runtime.progress import readable_time, talk
from privaudit.shadow.store import AuditStore
from privaudit.training.hardware import hardware_in_words
from privaudit.unlearning.application.retrained_models import expected_seconds


def list_experiments() -> list[dict[str, Any]]:
    """Every experiment with its claim, protocols, contrasts and rule, for people and for ``--list --json``."""
    return [
        {
            "name": experiment.name,
            "title": experiment.title,
            "claim": experiment.claim,
            "as_in_paper": experiment.protocol,
            "controlled": experiment.control,
            "sets": list(experiment.sets),
            "methods": list(experiment.methods),
            "arms": {arm: ARMS[arm].means for arm in experiment.arms} if experiment.methods else {},
            "contrasts": {protocol: asdict(contrast) for protocol, contrast in experiment.contrasts().items()},
            "secondary": [asdict(contrast) for contrast in experiment.secondary],
        }
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


def run_reproduce(settings: ReproduceSettings) -> dict[str, Any]:
    """Run experiments, or find what was run before; return what ``reproduce --json`` prints."""
    experiments, scale = chosen(settings.names), scale_of(settings.scale)
    seeds = settings.seeds or scale.seeds
    began = time.perf_counter()
    wanted = audit_settings(scale, settings.base)
    inverts = any(experiment.needs_inversion for experiment in experiments)
    if not inverts and not _is_inverted(wanted):
        # Minutes that nothing here would be answered by.
        wanted = replace_settings(wanted, invert=0)
    audit = run_score(wanted)
    store = AuditStore(wanted.store, audit["audit"])
    out = wanted.out / audit["audit"]
    with store.locked():
        plan, table = scored(plan_audit(wanted), out)
        study = Study(plan, table, out, scale, seeds)
        results = files.read_json(out / RESULTS)
        for experiment in experiments:
            demand_inversions(experiment, results)
        talk(
            f"reproducing {', '.join(experiment.name for experiment in experiments)} at --scale {scale.name}: {seeds} "
            f"seeds, about {readable_time(expected_seconds(plan, len(table)))} a model on one worker"
        )
        folder = wanted.out / REPRODUCTION / f"{plan.name}-{scale.name}"
        files.claim(folder.parent)
        choices = study.run([experiment for experiment in experiments if experiment.methods])
        # Verdicts on what was found before would stand beside what is found now, were this killed in between.
        files.remove(folder / VERDICTS)
        about = {
            "audit": plan.name,
            "dataset": plan.data.name,
            "source": plan.data.source,
            "network": plan.network_name,
            "samples": len(plan.data),
            "shadows": plan.shadows,
            "epochs": plan.specification.recipe.epochs,
            "scale": scale.name,
            "tuned": scale.tuned,
            "tuning_seed": TUNING_SEED if scale.tuned else None,
            "seeds": seeds,
            "date": datetime.now(UTC).date().isoformat(),
            "hardware": hardware_in_words(plan.specification.hardware, plan.workers),
            "accuracy": results["accuracy"],
            "lira": {"auc": results["attacks"]["lira"]["auc"], "auc_ci": results["attacks"]["lira"]["auc_ci"]},
            **reliability_of(results["stability"]),
        }
        found = {
            experiment.name: _answer(experiment, study, choices, results, about, folder) for experiment in experiments
        }
        verdicts = write_verdicts(folder)
    report = render_reproduction(wanted.out / REPRODUCTION, show_samples=wanted.show_samples)
    return {
        "audit": plan.name,
        "scale": scale.name,
        "seeds": seeds,
        "folder": str(folder),
        "experiments": {
            name: {
                "claim": one["claim"],
                "verdicts": verdicts.get(name),
                "results": str(folder / name / "results.json"),
            }
            for name, one in found.items()
        },
        "seconds": round(time.perf_counter() - began, 1),
        "report": report,
    }


def reliability_of(stability: dict[str, Any] | None) -> dict[str, Any]:
    """Return how well the ranking would agree with another audit's, and its interval; None where that is not known.

    What earlier versions wrote has no interval and was too high: it is not taken.
    """
    if stability is None or "ci" not in stability:
        return {"reliability": None, "reliability_ci": None}
    return {"reliability": stability["reliability"], "reliability_ci": stability["ci"]}


def demand_inversions(experiment: Experiment, results: dict[str, Any]) -> None:
    """Before hours of work: is there what this experiment chooses its samples, or is answered, by?"""
    if not experiment.needs_inversion:
        return
    if not _has_features(results):
        raise EvidenceError(
            f"{experiment.name} needs inversions, and audit {results['audit']} has none",
            hint="Only image networks that end in a fully connected layer can be inverted so; leave it out.",
        )
    if experiment.name == "figure1" and results["inversion"]["matching"] is None:
        raise EvidenceError(
            f"figure1 needs gradient matching, and audit {results['audit']} left it out",
            hint="; ".join(results["inversion"]["notes"]) + ". Leave figure1 out, or take another size or network.",
        )


def _has_features(results: dict[str, Any]) -> bool:
    """Whether feature matching (T1) says who is easily inverted."""
    return bool(results["inversion"] and results["inversion"]["features"])


def _is_inverted(settings: AuditSettings) -> bool:
    """Whether the audit's scores hold inversions already, which scoring without them would take away."""
    results = settings.out / plan_audit(settings).name / RESULTS
    return files.is_whole(results) and files.read_json(results)["inversion"] is not None


def _answer(
    experiment: Experiment,
    study: Study,
    choices: Choices,
    results: dict[str, Any],
    about: dict[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """One experiment's runs, contrasts and figures, on disk and as it is there."""
    shown: dict[str, Any] = {}
    contrasts: dict[str, Any] | None = None
    if experiment.name == "figure1":
        runs = pd.DataFrame()
        contrasts = {
            protocol: told | {"says": experiment.contrasts()[protocol].says, "first": "random", "second": None}
            for protocol, told in inversion_of_audit(results).items()
        }
        shown = {"matching": results["inversion"]["matching"], "at": results["inversion"]["at"]}
    elif experiment.methods:
        runs = study.runs(experiment, choices)
    else:
        runs, shown = runs_of_groups(study, inversion=_has_features(results), reliability=about["reliability"])
    facts = {
        "about": about,
        "parameters": [
            {"set": name, "method": method, "arm": arm, "values": choices[name, method, arm].describe()}
            for name, method, arm in study.cells(experiment)
        ],
        "not_applicable": [
            {"set": name, "method": method, "why": why}
            for (name, method), why in study.not_applicable(experiment).items()
        ],
        "figures": shown,
    }
    found = answer(experiment, runs, facts, contrasts)
    write_answer(found, runs, folder)
    return found
