"""From signals to scores: the attacks' performance and one row of risk per sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks import lira
from privaudit.attacks.loss import loss_threshold
from privaudit.seeds import generator
from privaudit.shadow.design import paired_design
from privaudit.signals import STATISTICS, signal
from privaudit.statistics.intervals import Correlation, FloatArray, spearman, wilson
from privaudit.statistics.roc import Performance, performance

#: The tail of a class: this share of its samples, the least confident ones (Table 3 of the paper).
TAIL_SHARE = 0.2

#: Below this many shadow models per-sample risk gets no interval, since LiRA has no variance.
FEWEST_FOR_INTERVAL = 6


@dataclass(frozen=True)
class SampleFacts:
    """What is known of the pool besides signals, one entry a row (training samples, then canaries)."""

    sample_ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    canary: npt.NDArray[np.bool_]
    paths: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Scores:
    """What the attacks say."""

    table: pd.DataFrame
    attacks: dict[str, Performance]
    intrinsic: Correlation | None
    loss_proxy: Correlation


def score(
    shadow_signals: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    target_signals: npt.NDArray[Any],
    facts: SampleFacts,
    statistic: str = "margin",
) -> Scores:
    """Score every sample of the pool.

    Parameters
    ----------
    shadow_signals
        ``[S, N, Q, K]`` under the shadow models.
    keep
        bool ``[S, N]``: which shadow model saw which sample; models 2p and 2p+1 are complements.
    target_signals
        ``[N, Q, K]`` under the target model.
    facts
        Ids, labels and flags of the same N rows.
    statistic
        The signal that the per-sample risk is taken from, one of `STATISTICS`.

    Returns
    -------
    Scores
        Canaries have rows in the table and no part in anything else.
    """
    real = ~facts.canary
    pairs = np.broadcast_to((np.arange(len(keep)) // 2)[:, np.newaxis], keep[:, real].shape)
    ratios = {name: lira.online(signal(shadow_signals[:, real], name), keep[:, real]) for name in STATISTICS}
    cells = {"lira": ratios["margin"]} | {f"lira-{name}": ratios[name] for name in STATISTICS if name != "margin"}
    cells["loss"] = loss_threshold(signal(shadow_signals[:, real, 0], "loss"))
    attacks = {name: performance(scores, keep[:, real], pairs) for name, scores in cells.items()}
    ratio = np.empty(keep.shape)
    ratio[:, real] = ratios[statistic]
    if facts.canary.any():
        ratio[:, facts.canary] = lira.online(signal(shadow_signals, statistic), keep)[:, facts.canary]
    table = _table(ratio, keep, shadow_signals, target_signals, facts)
    judged = table[real]
    return Scores(
        table=table,
        attacks=attacks,
        intrinsic=intrinsic_relation(shadow_signals[:, real], keep[:, real], statistic),
        loss_proxy=spearman(judged["loss"], judged["risk"]),
    )


def attack_success(ratio: FloatArray, keep: npt.NDArray[np.bool_]) -> FloatArray:
    """ASR of every sample (eq. 1 of the paper): the share of models in which the verdict is right, ``[N]``."""
    rate: FloatArray = lira.verdict_is_right(ratio, keep).mean(axis=0)
    return rate


def intrinsic_shift(margin: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> FloatArray:
    """Mean IN minus mean OUT of a statistic ``[S, N]``: how much a model's view of a sample owes to having seen it."""
    inside = np.where(keep, margin, 0.0).sum(axis=0) / keep.sum(axis=0)
    outside = np.where(keep, 0.0, margin).sum(axis=0) / (~keep).sum(axis=0)
    shift: FloatArray = (inside - outside).astype(np.float64)
    return shift


def halves_of(models: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None:
    """Two disjoint sets of complementary pairs, as masks ``[S]``; None where one of them could not run LiRA."""
    first = np.arange(models) // 2 % 2 == 0
    return None if min(first.sum(), (~first).sum()) < lira.FEWEST_MODELS else (first, ~first)


def intrinsic_relation(
    shadow_signals: npt.NDArray[Any], keep: npt.NDArray[np.bool_], statistic: str = "margin"
) -> Correlation | None:
    """Risk (by ``statistic``) against intrinsic shift (of the margin), each from its own half of the pairs.

    So the relation is not built in.

    The correlation is the mean of the two ways to assign the halves; the interval is that of the first, moved to the
    mean. None below 8 models.
    """
    halves = halves_of(len(keep))
    if halves is None:
        return None
    attacked, margin = signal(shadow_signals, statistic), signal(shadow_signals[:, :, 0], "margin")
    found = []
    for risk_half, shift_half in (halves, halves[::-1]):
        risk = attack_success(lira.online(attacked[risk_half], keep[risk_half]), keep[risk_half])
        found.append(spearman(risk, intrinsic_shift(margin[shift_half], keep[shift_half])))
    first, second = found
    if first.spearman is None or second.spearman is None or first.interval is None:
        return first
    mean = (first.spearman + second.spearman) / 2
    move = mean - first.spearman
    low, high = (max(-1.0, min(1.0, bound + move)) for bound in first.interval)
    return Correlation(mean, (low, high), first.samples)


def audit_target(
    shadow_signals: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    member_signals: npt.NDArray[Any],
    shadow_test: npt.NDArray[Any],
    model_test: npt.NDArray[Any],
    seed: int,
) -> Performance:
    """Attack one given model with offline LiRA: its members against never-trained samples.

    Parameters
    ----------
    shadow_signals, keep
        ``[S, n, Q, K]`` and ``[S, n]`` of the samples whose membership is asked about.
    member_signals
        ``[n, Q, K]`` of the same samples under the attacked model.
    shadow_test, model_test
        ``[S, m, Q, K]`` and ``[m, Q, K]`` of never-trained samples.
    seed
        Chooses, for each never-trained sample, the half of the shadow models that speaks for it: as many as speak for
        a member, so that sample size itself gives nothing away.

    Returns
    -------
    Performance
        Over samples, for this one model.
    """
    made_up = paired_design(shadow_test.shape[1], len(keep), seed, "target-audit")
    statistic = np.concatenate([signal(shadow_signals[:, :, 0], "margin"), signal(shadow_test[:, :, 0], "margin")], 1)
    attacked = np.concatenate([signal(member_signals[:, 0], "margin"), signal(model_test[:, 0], "margin")])
    scores = lira.offline_one_sided(attacked, statistic, ~np.concatenate([keep, made_up], axis=1))
    return performance(scores, np.arange(len(attacked)) < len(member_signals))


def split_test(samples: int, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split the test set once: rows for validation (tuning) and rows for test (reported), each sorted."""
    shuffled = generator(seed, "test-split").permutation(samples)
    return np.sort(shuffled[: samples // 2]), np.sort(shuffled[samples // 2 :])


def _table(
    ratio: FloatArray,
    keep: npt.NDArray[np.bool_],
    shadow_signals: npt.NDArray[Any],
    target_signals: npt.NDArray[Any],
    facts: SampleFacts,
) -> pd.DataFrame:
    models, samples = keep.shape
    asr = attack_success(ratio, keep)
    low, high = wilson(asr * models, models)
    if models < FEWEST_FOR_INTERVAL:
        low, high = np.full(samples, np.nan), np.full(samples, np.nan)
    # Positive where the ratio points the right way: it ranks samples within equal ASR.
    evidence = np.where(keep, ratio, -ratio).mean(axis=0)
    of_target = {name: signal(target_signals[:, 0], name).astype(np.float64) for name in _FROM_TARGET}
    table = pd.DataFrame(
        {
            "sample_id": facts.sample_ids,
            "label": facts.labels,
            "class_name": [facts.class_names[label] for label in facts.labels],
            "risk": asr,
            "risk_low": low,
            "risk_high": high,
            "asr": asr,
            "lira": evidence,
            "rmia": np.full(samples, np.nan),
            "margin": of_target["margin"],
            "loss": of_target["loss"],
            "entropy": of_target["entropy"],
            "confidence": of_target["confidence"],
            "tail": _tail(of_target["scaled-logit"], facts),
        }
    )
    order = np.lexsort((facts.sample_ids, -evidence, -asr, facts.canary))
    rank = pd.Series(pd.NA, index=table.index, dtype="Int64")
    rank.iloc[order] = np.arange(1, samples + 1)
    rank[facts.canary] = pd.NA
    table["rank"] = rank
    table["shift"] = intrinsic_shift(signal(shadow_signals[:, :, 0], "margin"), keep)
    table["canary"] = facts.canary
    if facts.paths is not None:
        table["path"] = facts.paths
    return table


_FROM_TARGET = ("margin", "loss", "entropy", "confidence", "scaled-logit")


def _tail(scaled_logit: FloatArray, facts: SampleFacts) -> npt.NDArray[np.bool_]:
    # The scaled logit orders as confidence does, and does not saturate at 1.
    tail = np.zeros(len(scaled_logit), np.bool_)
    for label in range(len(facts.class_names)):
        rows = np.flatnonzero((facts.labels == label) & ~facts.canary)
        tail[rows[np.argsort(scaled_logit[rows], kind="stable")[: int(TAIL_SHARE * len(rows))]]] = True
    return tail
