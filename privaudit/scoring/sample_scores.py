"""Run every attack over the shadow models, and score every sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks.risk import gap
from privaudit.attacks.suite import ATTACKS, Attack, Evidence
from privaudit.runtime.identity import digest_of
from privaudit.scoring.reliability.confirmation import Confirmation, confirm, confirmed_by_both
from privaudit.scoring.reliability.cross_half_selection import Picked, picked_and_judged
from privaudit.scoring.reliability.simulated_audits import pair_correlation
from privaudit.scoring.reliability.split_halves import Half, attack_halves, intrinsic_relation, shifts_of
from privaudit.scoring.reliability.stability import Stability, ranking_stability
from privaudit.scoring.score_table import SampleFacts, score_table
from privaudit.scoring.subgroups import Exposure, exposure
from privaudit.statistics.group_accuracy import right_shares
from privaudit.statistics.intervals import Correlation, FloatArray, spearman
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import Performance, performance

#: Which attack's ratio the per-sample risk is taken from, by statistic.
OF_STATISTIC = {"margin": "lira", "logit-gap": "lira-logit-gap", "scaled-logit": "lira-scaled-logit"}


@dataclass(frozen=True)
class Scores:
    """What the attacks say.

    Parameters
    ----------
    table
        One row a sample.
    attacks
        How well each attack told members from others.
    agreement
        Per attack, Spearman's rho between its gap (`privaudit.attacks.risk.gap`) and that of ``lira`` over samples.
    stability
        Of the ranking by risk.
    intrinsic
        Risk against intrinsic shift.
    loss_proxy
        Risk against the target's loss; None without a target.
    exposures
        Risk by class and by every property that is known.
    picked
        The most exposed by one half of the models, judged by the other.
    confirmation
        Whom other models confirm, and whether anybody may be named.
    clusters
        What each cluster of models (complementary pair) contributes to the error of the mean risk, and the SHA-256 of
        who saw what: two audits with the same one are compared pair by pair.
    """

    table: pd.DataFrame
    attacks: dict[str, Performance]
    agreement: dict[str, Correlation]
    stability: Stability | None
    intrinsic: Correlation | None
    loss_proxy: Correlation | None
    exposures: list[Exposure]
    picked: Picked | None
    confirmation: Confirmation
    clusters: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As it stands in JSON results, the table left out."""
        return {
            "attacks": {name: found.to_json() for name, found in self.attacks.items()},
            "agreement": {name: found.to_json() for name, found in self.agreement.items()},
            "groups": {found.property: found.to_json() for found in self.exposures},
            "clusters": self.clusters,
            "stability": None if self.stability is None else self.stability.to_json(),
            "most_exposed": None if self.picked is None else self.picked.to_json(),
            "told_right": self.confirmation.to_json(),
            "risk_vs_difficulty": {
                "intrinsic_shift": None if self.intrinsic is None else self.intrinsic.to_json(),
                "loss_as_proxy": None if self.loss_proxy is None else self.loss_proxy.to_json(),
            },
        }


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
    real, keep = ~facts.canary, evidence.keep
    judged = evidence.of_samples(real)
    used = judged.cells
    member, clusters = judged.keep[used], clusters_of(judged)[used]
    attacks: dict[str, Performance] = {}
    gaps: dict[str, FloatArray] = {}
    refits: dict[str, Refits] = {}
    ratio = np.empty(keep.shape)
    for name, attack in ATTACKS.items():
        if not attack.applies_to(judged):
            continue
        cells = attack.score(judged)
        refits[name] = _refits(attack, judged)
        left_out = ((scores, judged.keep[left]) for left, scores in refits[name])
        attacks[name] = performance(cells[used], member, clusters, left_out)
        gaps[name] = gap(np.where(used, cells, np.nan), judged.keep)
        if name == OF_STATISTIC[statistic]:
            ratio[:, real] = cells
    if facts.canary.any():
        ratio[:, facts.canary] = ATTACKS[OF_STATISTIC[statistic]].score(evidence)[:, facts.canary]
    plain = judged.plain(statistic)
    correlation = pair_correlation(plain, judged.keep, judged.partners)
    table = score_table(ratio, _of_all(gaps.get("rmia"), real), evidence, target_signals, facts, statistic, correlation)
    halves, stability = None, None
    asr = table.loc[real, "asr"].to_numpy(np.float64)
    if evidence.partners is None:
        every_query = judged.every_query(statistic)
        halves = attack_halves(every_query, judged.keep)
        stability = ranking_stability(every_query, judged.keep, asr, correlation, seed)
    shifts = None if halves is None else shifts_of(halves, judged.plain("margin"))
    if halves is not None and shifts is not None:
        table = _with_halves(table, real, halves, shifts)
    of_risk = np.where(used, ratio[:, real], np.nan)
    everyone = np.zeros(int(real.sum()), np.int64)
    overall = right_shares(of_risk, judged.keep, everyone, clusters_of(judged)[:, 0], refits[OF_STATISTIC[statistic]])
    properties = {"class": table["class_name"].to_numpy(np.str_)} | facts.properties
    return Scores(
        table=table,
        attacks=attacks,
        agreement={name: spearman(gaps["lira"], found) for name, found in gaps.items() if name != "lira"},
        stability=stability,
        intrinsic=None if halves is None or shifts is None else intrinsic_relation(halves, shifts),
        loss_proxy=None if target_signals is None else spearman(table.loc[real, "loss"], table.loc[real, "risk"]),
        exposures=[
            exposure(
                name,
                groups[real],
                of_risk,
                judged.keep,
                clusters_of(judged)[:, 0],
                refits[OF_STATISTIC[statistic]],
            )
            for name, groups in properties.items()
        ],
        picked=None if halves is None else picked_and_judged(halves),
        confirmation=confirm(asr, int(np.median(judged.cells.sum(axis=0))), halves, stability, correlation),
        clusters={
            "design": digest_of(np.packbits(judged.keep)),
            "risk_influence": overall.influence[:, 0].tolist(),
        },
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
    confirmed = pd.Series(pd.NA, index=table.index, dtype="boolean")
    confirmed[rows] = confirmed_by_both(halves)
    columns: dict[str, Any] = {"confirmed": confirmed}
    for name, values in (("risk_of_half", halves[0].asr), ("shift_of_half", shifts[1])):
        column = np.full(len(table), np.nan)
        column[rows] = values
        columns[name] = column
    return table.assign(**columns)


def _refits(attack: Attack, evidence: Evidence) -> Refits:
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
