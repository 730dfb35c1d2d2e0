"""What a forget set is like: a class, samples that lie among each other or are the riskiest, a few, or scattered."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.results.unlearning.calibration import ForgetSetKind
from privaudit.runtime.seeds import generator
from privaudit.training.loop import Samples, logits_of
from privaudit.unlearning.application.problem import Bench, UnlearningProblem

Rows = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

#: Few: at most so many, and at most this share of all.
FEW, FEW_SHARE = 30, 0.02

#: So many neighbours are looked at, of at most so many samples of the set.
NEIGHBOURS, ASKED = 10, 200

#: Samples lie among each other where this share of their nearest neighbours is of the set, and so often by chance.
AMONG, TIMES_CHANCE = 0.1, 5.0

#: The riskiest: their mean place in the score table, 1 being the top.
RISKIEST = 0.8

#: So far from the mean memorisation of all that a scattered set is another kind.
UNLIKE_ALL = 0.125

#: Nearly all of one class.
ONE_CLASS = 0.9

INPUTS, FEATURES, RISK = "inputs", "features", "risk"


def kind_of(problem: UnlearningProblem, model: nn.Module) -> ForgetSetKind:
    """Tell what the forget set of a problem is like, by the table, the inputs, and the model's features."""
    forget, everyone = problem.forget, len(problem.bench.table)
    # Canaries lie behind the training samples.
    labels = problem.labels[:everyone]
    rows = forget.rows
    if not forget.scattered:
        lost = lost_classes(labels, rows)
        classes = f"{len(lost)} class{'es' if len(lost) != 1 else ''}"
        return ForgetSetKind(name="class", size=coarse(len(lost)), words=f"class: more than half of {classes} goes")
    counts = np.bincount(labels[rows])
    facts: dict[str, Any] = {
        "size": coarse(len(rows)),
        "chance": round((len(rows) - 1) / max(1, everyone - 1), 4),
        "risk_rank": round(risk_rank(problem.bench, rows), 4),
    }
    shares = {space: share_among(space_of(space, problem.pool, model), rows) for space in (INPUTS, FEATURES)}
    space = max(shares, key=lambda name: shares[name])
    facts["neighbours"] = round(shares[space], 4)
    if shares[space] >= max(AMONG, TIMES_CHANCE * facts["chance"]):
        return ForgetSetKind(
            name="concentrated",
            by=space,
            memorised=round(4 * memorised(problem.bench, rows)) / 4,
            one_class=bool(counts.max() >= ONE_CLASS * len(rows)),
            words=f"concentrated: {shares[space]:.0%} of the nearest neighbours of its samples, by the {space}, are "
            f"of it too, where {facts['chance']:.0%} would be by chance",
            **facts,
        )
    if facts["risk_rank"] >= RISKIEST:
        words = f"concentrated: its samples are the riskiest, on average above {facts['risk_rank']:.0%} of all"
        known = round(4 * memorised(problem.bench, rows)) / 4
        return ForgetSetKind(name="concentrated", by=RISK, memorised=known, words=words, **facts)
    known = memorised(problem.bench, rows)
    if len(rows) <= FEW and len(rows) <= FEW_SHARE * everyone:
        words = f"few: {len(rows):,} of {everyone:,} samples, no nearer to each other than by chance"
        return ForgetSetKind(name="few", memorised=round(4 * known) / 4, words=words, **facts)
    words = f"scattered: {len(rows):,} of {everyone:,} samples, spread over the data"
    # Many at random are as memorised as all: those share one calibration.
    other = abs(known - memorised(problem.bench, np.arange(everyone))) > UNLIKE_ALL
    return ForgetSetKind(name="scattered", memorised=round(4 * known) / 4 if other else None, words=words, **facts)


def coarse(size: int) -> int:
    """Round to 1, 2, 3, 4, 6, 8, 12, 16, 24 …: about the same size."""
    scale: list[int] = [1, *(step << power for power in range(40) for step in (2, 3))]
    return min(scale, key=lambda step: abs(math.log(step / size)))


def lost_classes(labels: Rows, rows: Rows) -> Rows:
    """Return the classes of which more than half is to be forgotten."""
    everyone, lost = np.bincount(labels), np.bincount(labels[rows], minlength=int(labels.max()) + 1)
    return np.flatnonzero(2 * lost > everyone).astype(np.int64)


def risk_rank(bench: Bench, rows: Rows) -> float:
    """Return the mean place of samples in the score table: 1 the riskiest, 0 the least risky."""
    place = bench.table["risk"].rank(pct=True).to_numpy()
    return float(place[rows].mean())


def memorised(bench: Bench, rows: Rows) -> float:
    """Return the mean memorisation of samples, 0 … 1; 0 where it was not measured."""
    found = bench.table["memorisation"].to_numpy(np.float64)[rows]
    return float(np.nan_to_num(found).mean())


def share_among(points: FloatArray, rows: Rows) -> float:
    """Return which share of the nearest neighbours of these rows are among the rows themselves."""
    nearest = min(NEIGHBOURS, len(rows) - 1)
    if nearest < 1:
        return 0.0
    asked = rows
    if len(rows) > ASKED:
        asked = np.sort(generator(0, "neighbours").permutation(rows)[:ASKED])
    inside = np.isin(np.arange(len(points)), rows)
    distance = distances(points, asked)
    distance[np.arange(len(asked)), asked] = np.inf
    found = np.argpartition(distance, nearest - 1, axis=1)[:, :nearest]
    return float(inside[found].mean())


def distances(points: FloatArray, asked: Rows) -> FloatArray:
    """Return squared distances ``[asked, N]``."""
    lengths = np.square(points).sum(axis=1)
    found: FloatArray = lengths[asked, None] + lengths[None] - 2 * points[asked] @ points.T
    return found


def space_of(space: str, pool: Samples, model: nn.Module) -> FloatArray:
    """Return the samples ``[N, d]`` as they are put in, or as the model's last layer sees them."""
    if space == INPUTS:
        rows = torch.arange(len(pool), device=pool.labels.device)
        return pool.take(rows).float().flatten(1).cpu().numpy()
    return features_of(model, pool)


def features_of(model: nn.Module, pool: Samples) -> FloatArray:
    """Return what goes into the model's last linear layer; its logits where there is none, or it is not asked."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    seen: list[torch.Tensor] = []
    hook = None
    if layers:
        hook = layers[-1].register_forward_pre_hook(
            lambda _, given: seen.append(given[0].detach().float().flatten(1).cpu())
        )
    try:
        logits = logits_of(model, pool, np.arange(len(pool)))
    finally:
        if hook is not None:
            hook.remove()
    found = torch.cat(seen).numpy() if seen else logits
    # A layer that is asked more or less than once a sample tells no features of samples.
    return np.asarray(found if len(found) == len(logits) else logits, np.float32)
