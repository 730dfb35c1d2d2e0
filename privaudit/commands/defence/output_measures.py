"""Measures at the output of an audit's stored models: what each shows, and what attackers make of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks.lira import online
from privaudit.attacks.released_outputs import (
    ALL,
    STATISTICS,
    Answers,
    Release,
    adaptive,
    derivable_from,
    measures_for,
    unadapted,
)
from privaudit.audit.outlying_models import models_left
from privaudit.audit.plan import AuditPlan
from privaudit.commands.defence.boundary import Walk, measure_boundary
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.defence_results import OutputMeasure, OutputMeasures
from privaudit.results.measures import Attack
from privaudit.runtime.progress import progress
from privaudit.runtime.seeds import generator
from privaudit.scoring.defence.recommendation import DECIDING_RATE, halve
from privaudit.shadow.store import shadow_keys
from privaudit.shadow.trainer import load_model, one_thread
from privaudit.statistics.audit_difference import Estimate, difference
from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import performance
from privaudit.training.loop import Samples, logits_of
from privaudit.training.views import QUERIES

#: Noisy copies that the attack on labels asks about, and how noisy they are: in deviations of each feature or channel.
NOISY_COPIES, NOISE = 6, 0.3

#: At most so many numbers of logits are kept at once, so that of many models or classes fewer samples are attacked.
MOST_LOGITS = 60_000_000

#: LiRA's fits need three pairs.
FEWEST_MODELS = 6


def why_unmeasured(plan: AuditPlan) -> str | None:
    """Why no model of an audit can be asked again for this, where that is known beforehand."""
    if plan.specification.estimator is not None:
        return "of estimators the store keeps answers, and not what could be asked again"
    if plan.shadows < FEWEST_MODELS:
        return f"{plan.shadows} shadow models are too few, {FEWEST_MODELS} are needed"
    return None


def measure_outputs(plan: AuditPlan, results: ScoreResults, walk: Walk | None = None) -> OutputMeasures | None:
    """Ask the stored shadow models again, and attack what each measure lets out.

    With a ``walk`` they are asked for labels along their boundaries too. None where models are gone, or too few to
    attack with, and of estimators, which take no further questions.
    """
    if why_unmeasured(plan) is not None:
        return None
    every = np.ones(results.shadows, np.bool_)
    left = np.flatnonzero(every if results.outliers is None else models_left(results.outliers, results.shadows))
    keys = [shadow_keys(results.shadows)[index] for index in left]
    if len(keys) < FEWEST_MODELS or not all(plan.store.is_finished(key) for key in keys):
        return None
    rows = _rows(plan, len(keys))
    keep = plan.store.read_design()[left][:, rows]
    answers = _ask(plan, keys, rows, keep)
    releases = (ALL, *measures_for(answers.logits.shape[2]))
    own = {release: _attacked(answers.statistics(release), keep) for release in releases}
    margins = answers.shown_margins(ALL)
    measures: list[OutputMeasure] = []
    for release in releases:
        found = dict(own[release])
        for coarser in derivable_from(release, releases):
            # Whoever sees more can hide it from himself: LiRA's Gaussians fit some coarser answers better.
            found |= {f"{coarser.name}: {name}": own[coarser][name] for name in STATISTICS}
        row = _row(release, _unaware(release, margins, answers), found, _best(found))
        measures.append(_held_against(row, measures[0]) if measures else row)
    boundary = None if walk is None else measure_boundary(plan, keys, rows, answers, walk)
    return OutputMeasures(samples=len(rows), copies=answers.right.shape[2] - 1, measures=measures, boundary=boundary)


def _rows(plan: AuditPlan, models: int) -> npt.NDArray[np.int64]:
    """Training samples, all of them or as many as may be kept at once."""
    most = MOST_LOGITS // (models * plan.data.classes)
    drawn = generator(plan.settings.seed, "output-measures").permutation(len(plan.data))[:most]
    return np.sort(drawn).astype(np.int64)


def _ask(plan: AuditPlan, keys: list[str], rows: npt.NDArray[np.int64], keep: npt.NDArray[np.bool_]) -> Answers:
    labels = plan.arrays.pool_labels[rows]
    inputs = plan.arrays.pool_inputs[rows]
    hardware = plan.specification.hardware
    logits, right = [], []
    with progress(f"asking {len(keys)} models again", len(keys)) as bar, one_thread(hardware):
        plain = Samples.from_arrays(inputs, labels, hardware.device)
        noisy = [Samples.from_arrays(copy, labels, hardware.device) for copy in _noisy_copies(plan, inputs)]
        # A head takes embeddings, whatever they are made of.
        are_images = plan.data.is_image and not plan.specification.is_head
        views = [seen_as for name in QUERIES for seen_as in QUERIES[name]] if are_images else [(0, 0, False)]
        for key in keys:
            model = load_model(plan.specification, plan.store.model(key))
            answers = [logits_of(model, plain, None, seen_as) for seen_as in views]
            answers += [logits_of(model, copy) for copy in noisy]
            logits.append(answers[0])
            right.append(np.stack([one.argmax(axis=1) == labels for one in answers], axis=1))
            bar.advance(1)
    return Answers(np.stack(logits), np.stack(right), labels, keep)


def _noisy_copies(plan: AuditPlan, inputs: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Copies of the inputs under noise, the same for every model."""
    deviation = np.asarray(plan.specification.statistics[1], np.float64)
    scale = 255.0 if inputs.dtype == np.uint8 else 1.0
    for number in range(NOISY_COPIES):
        noise = generator(plan.settings.seed, "noisy-copy", number).normal(size=inputs.shape)
        altered = inputs + NOISE * scale * deviation * noise
        yield np.clip(np.rint(altered), 0, 255).astype(np.uint8) if scale != 1 else altered.astype(inputs.dtype)


def _attacked(statistics: dict[str, FloatArray], keep: npt.NDArray[np.bool_]) -> dict[str, Attack]:
    """Every attack on what is let out, with the intervals of an audit's attacks."""
    return {name: _performance(values, keep) for name, values in statistics.items()}


def _performance(values: FloatArray, keep: npt.NDArray[np.bool_]) -> Attack:
    models = len(keep)
    clusters = np.broadcast_to((np.arange(models) // 2)[:, np.newaxis], keep.shape)
    named = {"": values}
    refits = Refits(models, lambda left: adaptive(named, keep, left)[""])
    return performance(online(values, keep), keep, clusters, ((scores, keep[left]) for left, scores in refits))


def _best(found: dict[str, Attack]) -> str:
    """The attack that finds most members at the deciding rate; by AUC where that is not resolved."""
    return max(found, key=lambda name: (_tpr(found[name]), found[name].auc))


def _tpr(attack: Attack) -> float:
    rate = attack.tpr_at_fpr.get(DECIDING_RATE)
    return 0.0 if rate is None else rate


def _unaware(release: Release, fitted: FloatArray, answers: Answers) -> Attack | None:
    """Attack as whoever takes what is let out for all that the model says; None where that is no attack to speak of."""
    if release.kind in ("all", "label"):
        return None
    keep = answers.keep
    clusters = np.broadcast_to((np.arange(len(keep)) // 2)[:, np.newaxis], keep.shape)
    return performance(unadapted(fitted, answers.shown_margins(release), keep), keep, clusters)


def _row(release: Release, hidden: Attack | None, found: dict[str, Attack], best: str) -> OutputMeasure:
    return OutputMeasure(
        name=release.name,
        title=release.title,
        unadapted=None if hidden is None else hidden.in_brief(),
        adaptive=found[best].model_copy(update={"curve": None}),
        attack=best,
        attacks={
            name: attack.auc if (rate := attack.tpr_at_fpr.get(DECIDING_RATE)) is None else rate
            for name, attack in found.items()
        },
    )


def _held_against(row: OutputMeasure, everything: OutputMeasure) -> OutputMeasure:
    before, after = _estimate(everything.adaptive), _estimate(row.adaptive)
    if before is None or after is None:
        return row
    change = difference(before, after, paired=True)
    helps = change.ci is not None and change.ci[1] < 0
    return row.model_copy(update={"change": change, "helps": helps, "halving": halve(before, after, paired=True)})


def _estimate(attack: Attack) -> Estimate | None:
    tpr, influence = attack.tpr_at_fpr.get(DECIDING_RATE), attack.influence
    of_rate = None if influence is None else influence.tpr.get(DECIDING_RATE)
    return None if tpr is None or of_rate is None else Estimate(tpr, np.asarray(of_rate))
