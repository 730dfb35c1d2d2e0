"""Run every attack over the shadow models, and score every sample."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks.suite import ATTACKS, Attack, Evidence
from privaudit.scoring.groups import Exposure, exposure
from privaudit.scoring.picked import Picked, picked_and_judged
from privaudit.scoring.risk import gap
from privaudit.scoring.stability import Stability, intrinsic_relation, ranking_stability
from privaudit.scoring.table import SampleFacts, score_table
from privaudit.statistics.intervals import Correlation, FloatArray, spearman
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import Performance, performance
from privaudit.statistics.shares import right_shares

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
        Per attack, Spearman's rho between its gap (`privaudit.scoring.risk.gap`) and that of ``lira`` over samples.
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
    table = score_table(
        ratio,
        _of_all(gaps.get("rmia"), real),
        evidence.cells.sum(axis=0),
        keep,
        evidence.signals,
        target_signals,
        facts,
        statistic,
    )
    paired = evidence.partners is None
    of_risk = np.where(used, ratio[:, real], np.nan)
    everyone = np.zeros(int(real.sum()), np.int64)
    overall = right_shares(of_risk, judged.keep, everyone, clusters_of(judged)[:, 0], refits[OF_STATISTIC[statistic]])
    properties = {"class": table["class_name"].to_numpy(np.str_)} | facts.properties
    return Scores(
        table=table,
        attacks=attacks,
        agreement={name: spearman(gaps["lira"], found) for name, found in gaps.items() if name != "lira"},
        stability=ranking_stability(judged.every_query(statistic), judged.keep, seed) if paired else None,
        intrinsic=intrinsic_relation(judged.signals, judged.keep, statistic) if paired else None,
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
        picked=picked_and_judged(judged.every_query(statistic), judged.keep) if paired else None,
        clusters={
            "design": hashlib.sha256(np.packbits(judged.keep).tobytes()).hexdigest(),
            "risk_influence": overall.influence[:, 0].tolist(),
        },
    )


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
