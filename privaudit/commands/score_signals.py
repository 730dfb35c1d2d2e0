"""`privaudit score --signals FILE`: attack models that were trained elsewhere. No torch."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from privaudit.audit.declaration import keep_declaration, read_declaration
from privaudit.audit.external_signals.signals_file import SignalsFile, read_signals_file
from privaudit.audit.result_files import RESULTS, SCORES, write_table
from privaudit.config import AuditSettings
from privaudit.errors import UsageError
from privaudit.report.content import comparability
from privaudit.report.redaction import privacy_of
from privaudit.report.write import render_report
from privaudit.results.audit.controls import Controls, UnseenControl
from privaudit.results.audit.score_results import About, Accuracy, GivenSignals, ScoreAnswer, ScoreResults
from privaudit.results.base import write_result
from privaudit.runtime import files
from privaudit.runtime.identity import digest_of
from privaudit.runtime.progress import talk
from privaudit.scoring.inversion_scores import join
from privaudit.scoring.reliability.outliers import sentences
from privaudit.scoring.sample_scores import OF_STATISTIC, Scores, clusters_of, score
from privaudit.scoring.unseen_control import never_seen
from privaudit.signals import SIGNALS
from privaudit.statistics.audit_difference import share_influence
from privaudit.statistics.leave_pair_out import is_paired


def run_signals(settings: AuditSettings, path: Path, *, csv: bool = False) -> ScoreAnswer:
    """Attack, score and report a file of signals; return what ``score --json`` prints."""
    declared = None if settings.declare is None else read_declaration(settings.declare)
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
    keep_declaration(declared, folder)
    write_table(join(scores.table, {}), folder / SCORES, csv=csv)
    results = _results(name, given, scores, settings, _given(path.name, digest, given, settings), folder / SCORES)
    unlike = comparability.unlike(results)
    warnings = [*sentences(given.outliers, given.design.models), *unlike]
    for warning in warnings:
        talk(f"  warning: {warning}")
    results = results.model_copy(update={"warnings": warnings})
    write_result(folder / RESULTS, results)
    return ScoreAnswer.of(results, folder / SCORES, render_report(folder, privacy_of(settings)))


def _results(
    name: str, given: SignalsFile, scores: Scores, settings: AuditSettings, about: GivenSignals, table: Path
) -> ScoreResults:
    keep, signals = given.evidence.keep, given.evidence.signals
    accuracy = None
    if given.classes is not None:
        right = signals[:, :, 0, SIGNALS.index("margin")] > 0
        accuracy = Accuracy(
            shadow_members=float(right[keep].mean()),
            shadow_others=float(right[~keep].mean()),
            others_influence=share_influence(right, ~keep, clusters_of(given.evidence)[:, 0]),
        )
    return ScoreResults(
        audit=name,
        samples=keep.shape[1],
        shadows=len(keep),
        statistic=settings.statistic if given.classes is not None else "the file's own",
        queries=(),
        rmia_gamma=settings.rmia_gamma if "rmia" in scores.attacks else None,
        **scores.parts(),
        target=None,
        controls=Controls(negative=None, untrained=None, positive=None, shift=_shift(given, settings)),
        epsilon=None,
        mean_risk=float(scores.table["risk"].mean()),
        accuracy=accuracy,
        training=None,
        about=About(audit=name, given=about, notes=given.notes),
        outliers=given.outliers,
        trained=0,
        table_sha256=files.sha256_of(table),
    )


def _given(file: str, digest: str, given: SignalsFile, settings: AuditSettings) -> GivenSignals:
    evidence = given.evidence
    return GivenSignals(
        file=file,
        sha256=digest,
        queries=given.queries,
        classes=given.classes,
        paired=given.design.is_paired,
        design=given.design.result(),
        population=0 if evidence.population is None else evidence.population.shape[1],
        seed=settings.seed,
        attack=OF_STATISTIC[settings.statistic],
        fewest_in=int(np.min(evidence.keep.sum(axis=0))),
    )


def _shift(given: SignalsFile, settings: AuditSettings) -> UnseenControl | None:
    """Never-seen samples against the population; None without one, or where models do not come in pairs."""
    evidence = given.evidence
    if evidence.population is None or evidence.partners is not None or not is_paired(evidence.keep):
        return None
    return never_seen(evidence.signals, evidence.keep, evidence.population, settings.seed)


def _short(digest: str, settings: AuditSettings) -> str:
    return digest_of(f"{digest}/{settings.statistic}/{settings.seed}")[:8]
