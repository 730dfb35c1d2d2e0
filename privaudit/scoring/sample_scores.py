"""Run every attack over the shadow models, and score every sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks.attack_union import Union
from privaudit.attacks.risk import gap
from privaudit.attacks.suite import ATTACKS, Evidence, ShadowAttack
from privaudit.results.audit.score_results import (
    Clusters,
    Exposure,
    MostExposed,
    RiskAndDifficulty,
    Stability,
    ToldRight,
)
from privaudit.results.measures import Attack, AttackUnion, CalibratedRate, Correlation
from privaudit.results.statement.subject_risk import SubjectRisk
from privaudit.runtime.identity import digest_of
from privaudit.scoring.parallel_attacks import side_by_side
from privaudit.scoring.reliability.confirmation import confirm, confirmed_by_both
from privaudit.scoring.reliability.cross_half_selection import picked_and_judged
from privaudit.scoring.reliability.simulated_audits import pair_correlation
from privaudit.scoring.reliability.split_halves import Half, attack_halves, intrinsic_relation, shifts_of
from privaudit.scoring.reliability.stability import ranking_stability
from privaudit.scoring.score_table import SampleFacts, score_table
from privaudit.scoring.subgroups import exposure
from privaudit.scoring.subjects.subject_risk import RatioCells, subject_risk
from privaudit.statistics.calibrated_rates import calibrated_rates
from privaudit.statistics.group_accuracy import right_shares
from privaudit.statistics.intervals import FloatArray, spearman
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import Evaluation

#: Which attack's ratio the per-sample risk is taken from, by statistic.
OF_STATISTIC = {"margin": "lira", "logit-gap": "lira-logit-gap", "scaled-logit": "lira-scaled-logit"}


@dataclass(frozen=True)
class Scores:
    """What the attacks say: one row a sample, and the parts of `privaudit.results.audit.score_results.ScoreResults`."""

    table: pd.DataFrame
    attacks: dict[str, Attack]
    calibrated: dict[str, CalibratedRate] | None
    union: AttackUnion | None
    agreement: dict[str, Correlation]
    groups: dict[str, Exposure]
    clusters: Clusters
    stability: Stability | None
    most_exposed: MostExposed | None
    told_right: ToldRight
    risk_vs_difficulty: RiskAndDifficulty
    subjects: SubjectRisk | None

    def parts(self) -> Mapping[str, Any]:
        """Return everything but the table, by its name in `ScoreResults`."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "table"}


def score(
    evidence: Evidence,
    facts: SampleFacts,
    target_signals: npt.NDArray[Any] | None = None,
    statistic: str = "margin",
    seed: int = 0,
) -> Scores:
    """Attack every shadow model with the others, and score every sample of the pool.

    Parameters
    ----------
    evidence
        Signals and membership of the pool (training samples, then canaries), and the population.
    facts
        Ids, labels and flags of the same N rows.
    target_signals
        ``[N, Q, K]`` under the target model, where there is one.
    statistic
        The signal that the per-sample risk is taken from.
    seed
        Chooses the splits of `ranking_stability`.

    Returns
    -------
    Scores
        Canaries have rows in the table and no part in anything else.
    """
    real, of_risk = ~facts.canary, OF_STATISTIC[statistic]
    judged = evidence.of_samples(real)
    keep, used, clusters = judged.keep, judged.cells, clusters_of(judged)
    union = Union(keep[used], clusters[used])
    ratio = np.empty(evidence.keep.shape)
    attacks, gaps, ratio[:, real] = _attacked(judged, union, clusters, of_risk)
    if facts.canary.any():
        ratio[:, facts.canary] = ATTACKS[of_risk].score(evidence)[:, facts.canary]
    correlation = pair_correlation(judged.plain(statistic), keep, judged.partners)
    table = score_table(ratio, _of_all(gaps.get("rmia"), real), evidence, target_signals, facts, statistic, correlation)
    asr = table.loc[real, "asr"].to_numpy(np.float64)
    halves, stability, shift = None, None, None
    if evidence.partners is None:
        every_query = judged.every_query(statistic)
        halves = attack_halves(every_query, keep)
        stability = ranking_stability(every_query, keep, asr, correlation, seed)
    if halves is not None:
        shifts = shifts_of(halves, judged.plain("margin"))
        shift = intrinsic_relation(halves, shifts)
        table = _with_halves(table, real, halves, shifts)
    verdicts = np.where(used, ratio[:, real], np.nan), keep
    models, refits = clusters[:, 0], _refits(ATTACKS[of_risk], judged)
    overall = right_shares(*verdicts, np.zeros(len(asr), np.int64), models, refits)
    properties = {"class": table["class_name"].to_numpy(np.str_)} | facts.properties
    subjects = None
    if facts.subjects is not None:
        cells_of_records = RatioCells(ratio[:, real], keep, used, models, refits, correlation)
        subjects, columns = subject_risk(facts.subjects[real], facts.subjects_from, cells_of_records, halves, seed)
        table = _with_columns(table, real, columns)
    return Scores(
        table=table,
        attacks=attacks,
        calibrated=calibrated_rates(judged.plain("margin"), keep) if judged.comes_in_pairs else None,
        union=union.result(),
        agreement={name: spearman(gaps["lira"], found) for name, found in gaps.items() if name != "lira"},
        groups={name: exposure(values[real], *verdicts, models, refits) for name, values in properties.items()},
        clusters=Clusters(
            design=digest_of(np.packbits(keep)),
            risk_influence=overall.influence[:, 0].tolist(),
        ),
        stability=stability,
        most_exposed=None if halves is None else picked_and_judged(halves),
        told_right=confirm(asr, int(np.median(used.sum(axis=0))), halves, stability, correlation),
        risk_vs_difficulty=RiskAndDifficulty(
            intrinsic_shift=shift,
            loss_as_proxy=None if target_signals is None else spearman(table.loc[real, "loss"], asr),
        ),
        subjects=subjects,
    )


def _with_halves(
    table: pd.DataFrame,
    rows: npt.NDArray[np.bool_],
    halves: tuple[Half, Half],
    shifts: tuple[FloatArray, FloatArray],
) -> pd.DataFrame:
    """The table with what halves of the models say of the chosen rows; null elsewhere.

    ``confirmed``: told right in at least 90% of either half. ``risk_of_half`` is by the first half of the pairs,
    ``shift_of_half`` by the second: what relates them is not built in.
    """
    found = {"confirmed": confirmed_by_both(halves), "risk_of_half": halves[0].asr, "shift_of_half": shifts[1]}
    return _with_columns(table, rows, found)


def _with_columns(
    table: pd.DataFrame, rows: npt.NDArray[np.bool_], values: dict[str, npt.NDArray[Any]]
) -> pd.DataFrame:
    """The table with columns of the chosen rows; null elsewhere."""
    columns: dict[str, Any] = {}
    for name, known in values.items():
        if known.dtype == np.bool_:
            columns[name] = pd.Series(pd.NA, index=table.index, dtype="boolean")
            columns[name][rows] = known
        elif known.dtype.kind == "i":
            columns[name] = pd.Series(pd.NA, index=table.index, dtype="Int64")
            columns[name][rows] = known
        else:
            columns[name] = np.full(len(table), np.nan)
            columns[name][rows] = known
    return table.assign(**columns)


def _attacked(
    judged: Evidence, union: Union, clusters: npt.NDArray[np.int64], of_risk: str
) -> tuple[dict[str, Attack], dict[str, FloatArray], FloatArray]:
    """Run every attack that applies, and join it to the union; return what each finds, its gaps, and risk's scores."""
    run = partial(_run, judged, union, clusters[judged.cells])
    names = [name for name, attack in ATTACKS.items() if attack.applies_to(judged)]
    attacks: dict[str, Attack] = {}
    gaps: dict[str, FloatArray] = {}
    ratio = np.empty(judged.keep.shape)
    for name, found in zip(names, side_by_side(run, names, judged.keep.size), strict=True):
        attacks[name], gaps[name] = found.attack, found.gap
        if found.rates is not None:
            union.add_rates(name, found.rates)
        if name == of_risk:
            ratio = found.cells
    return attacks, gaps, ratio


@dataclass(frozen=True)
class _Found:
    """What one attack finds: its scores ``[S, N]``, and the false alarm rates that it joins a union with."""

    cells: FloatArray
    attack: Attack
    gap: FloatArray
    rates: FloatArray | None


def _run(judged: Evidence, union: Union, clusters: npt.NDArray[np.int64], name: str) -> _Found:
    """Run one attack, and again without each group of pairs, which is joined to the union without that group."""
    attack, keep, used = ATTACKS[name], judged.keep, judged.cells
    cells = attack.score(judged)
    evaluation = Evaluation(cells[used], keep[used], clusters)
    for group, (left, scores) in enumerate(_refits(attack, judged)):
        rising = evaluation.leave_out(scores, keep[left])
        if attack.joins_union:
            union.leave_out(group, scores, keep[left], rising)
    if attack.joins_union and not attack.compares_models and judged.partners is None:
        # What other models say changes nothing of it: the same scores, of fewer models.
        for group, (left, scores) in enumerate(Refits(len(keep), lambda left: cells[left])):
            union.leave_out(group, scores, keep[left])
    rates = evaluation.false_alarm_rates() if attack.joins_union else None
    return _Found(cells, evaluation.performance(), gap(np.where(used, cells, np.nan), keep), rates)


def _refits(attack: ShadowAttack, evidence: Evidence) -> Refits:
    """The attack without each group of pairs in turn; none where models are not compared, or do not come in pairs."""
    models = len(evidence.keep) if attack.compares_models and evidence.partners is None else 0
    return Refits(models, lambda left: attack.score(evidence.of_models(left)))


def clusters_of(evidence: Evidence) -> npt.NDArray[np.int64]:
    """Which cells depend on each other, ``[S, N]``: those of a complementary pair, else those of one model."""
    models = np.arange(len(evidence.keep))
    alone = models if evidence.clusters is None else evidence.clusters
    cluster = models // 2 if evidence.partners is None else alone
    return np.broadcast_to(cluster[:, np.newaxis], evidence.keep.shape)


def _of_all(gap_of_rmia: FloatArray | None, rows: npt.NDArray[np.bool_]) -> FloatArray | None:
    """RMIA's column, ½ where there is nothing to tell; NaN for canaries."""
    if gap_of_rmia is None:
        return None
    column = np.full(len(rows), np.nan)
    column[rows] = 0.5 + 0.5 * gap_of_rmia
    return column
