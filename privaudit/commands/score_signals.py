"""`privaudit score --signals FILE`: attack models that were trained elsewhere. No torch."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from privaudit.audit.external_signals.signals_file import SignalsFile, read_signals_file
from privaudit.audit.result_files import RESULTS, SCORES, write_table
from privaudit.config import AuditSettings
from privaudit.errors import UsageError
from privaudit.report.content import comparability
from privaudit.report.redaction import privacy_of
from privaudit.report.write import render_report
from privaudit.runtime import files
from privaudit.runtime.identity import digest_of
from privaudit.runtime.progress import talk
from privaudit.scoring.inversion_scores import join
from privaudit.scoring.sample_scores import OF_STATISTIC, Scores, score
from privaudit.scoring.unseen_control import never_seen
from privaudit.signals import SIGNALS
from privaudit.statistics.leave_pair_out import is_paired


def run_signals(settings: AuditSettings, path: Path, *, csv: bool = False) -> dict[str, Any]:
    """Attack, score and report a file of signals; return what ``score --json`` prints."""
    given = read_signals_file(path, settings.seed, settings.metadata)
    if given.classes is None and settings.statistic != "margin":
        raise UsageError(
            f"--statistic {settings.statistic} needs logits, but {path.name} holds a statistic of its own",
            hint="Leave --statistic out.",
        )
    models, samples = given.evidence.keep.shape
    digest = files.sha256_of(path)
    name = f"{re.sub(r'[^a-z0-9]+', '-', path.stem.lower()).strip('-')[:40]}-signals-{_short(digest, settings)}"
    talk(f"audit {name}")
    talk(f"  {path.name}: {samples:,} samples, {given.queries} queries each, {models} models that take part")
    for note in (given.design.sentence(), *given.notes):
        talk(f"  {note}")
    if not given.design.is_paired:
        talk("  with each target its complement is dropped or, where it has none, a random model of the other side")
    evidence = replace(given.evidence, rmia_gamma=settings.rmia_gamma)
    scores = score(evidence, given.facts, None, settings.statistic, settings.seed)
    folder = settings.out / name
    files.claim(folder)
    write_table(join(scores.table, {}), folder / SCORES, csv=csv)
    results = _results(name, path, digest, given, scores, settings) | {"table_sha256": files.sha256_of(folder / SCORES)}
    results["warnings"] = [*given.outlying.warnings, *comparability.unlike(results)]
    for warning in results["warnings"]:
        talk(f"  warning: {warning}")
    files.write_json(folder / RESULTS, results)
    files.seal(folder / RESULTS)
    return results | {"scores": str(folder / SCORES), "report": render_report(folder, privacy_of(settings))}


def _results(
    name: str, path: Path, digest: str, given: SignalsFile, scores: Scores, settings: AuditSettings
) -> dict[str, Any]:
    keep, signals = given.evidence.keep, given.evidence.signals
    right = signals[:, :, 0, SIGNALS.index("margin")] > 0
    return {
        "audit": name,
        "samples": keep.shape[1],
        "shadows": len(keep),
        "trained": 0,
        "statistic": settings.statistic if given.classes is not None else "the file's own",
        "rmia_gamma": settings.rmia_gamma if "rmia" in scores.attacks else None,
        **scores.to_json(),
        "target": None,
        "epsilon": None,
        "inversion": None,
        "controls": dict.fromkeys(("negative", "untrained", "positive", "blind")) | {"shift": _shift(given, settings)},
        "duplicates": None,
        "mean_risk": float(scores.table["risk"].mean()),
        "accuracy": None
        if given.classes is None
        else {"shadow_members": float(right[keep].mean()), "shadow_others": float(right[~keep].mean())},
        "training": None,
        "outliers": given.outlying.found,
        "about": {
            "audit": name,
            "given": {
                "file": path.name,
                "sha256": digest,
                "queries": given.queries,
                "classes": given.classes,
                "paired": given.design.is_paired,
                "design": given.design.to_json(),
                "population": 0 if given.evidence.population is None else given.evidence.population.shape[1],
                "seed": settings.seed,
                "attack": OF_STATISTIC[settings.statistic],
                "fewest_in": int(np.min(keep.sum(axis=0))),
            },
            "notes": list(given.notes),
        },
    }


def _shift(given: SignalsFile, settings: AuditSettings) -> dict[str, Any] | None:
    """Never-seen samples against the population; None without one, or where models do not come in pairs."""
    evidence = given.evidence
    if evidence.population is None or evidence.partners is not None or not is_paired(evidence.keep):
        return None
    found = never_seen(evidence.signals, evidence.keep, evidence.population, settings.seed)
    return None if found is None else found.to_json()


def _short(digest: str, settings: AuditSettings) -> str:
    return digest_of(f"{digest}/{settings.statistic}/{settings.seed}")[:8]
