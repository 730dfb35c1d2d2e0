"""One row of risk per sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks.risk import attack_success, evidence, intrinsic_shift, memorisation, separation
from privaudit.attacks.suite import Evidence
from privaudit.errors import StoreError
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.statement.subject_risk import SubjectSource
from privaudit.runtime import files, links
from privaudit.scoring.reliability.risk_interval import risk_interval
from privaudit.signals import signal
from privaudit.statistics.intervals import FloatArray

#: The tail of a class: this share of its samples, the least confident ones (Table 3 of the paper).
TAIL_SHARE = 0.2

#: Below this many shadow models per-sample risk gets no interval, since LiRA has no variance.
FEWEST_FOR_INTERVAL = 6

_FROM_TARGET = ("margin", "loss", "entropy", "confidence", "scaled-logit")


#: Columns that every score table has.
COLUMNS = (
    *("sample_id", "label", "class_name", "risk", "risk_low", "risk_high", "asr", "lira", "rmia", "margin"),
    *("loss", "entropy", "confidence", "tail", "rank", "separation", "d_prime", "memorisation", "shift", "canary"),
)


def whose_results(folder: Path, results: ScoreResults) -> str | None:
    """Return why ``score.json`` can't be taken for this audit's: another's name, or another table; None where it can.

    Parameters
    ----------
    folder
        ``<out>/<audit>``; its name, with links followed or not, is the audit's.
    results
        What its ``score.json`` holds.
    """
    if results.audit not in (links.absolute(folder).name, folder.resolve().name):
        return f"{folder} holds the results of audit {results.audit}"
    table = folder / "scores.parquet"
    if results.table_sha256 not in (None, files.sha256_of(table)):
        return f"{table} is not the table that {folder / 'score.json'} was written with"
    return None


def demand_own(folder: Path, results: ScoreResults) -> None:
    """Raise `StoreError` where the results in a folder are not those of the audit that it is named after."""
    if (why := whose_results(folder, results)) is not None:
        raise StoreError(
            why,
            hint="Was the folder renamed? Give it its old name back, in another folder if need be (--out OTHER). Were "
            "files put there from elsewhere? Run the same privaudit score again: it trains nothing.",
        )


@dataclass(frozen=True)
class SampleFacts:
    """What is known of the pool besides signals, one entry a row (training samples, then canaries).

    ``properties`` are those that exposure is told by besides the class: name -> the group of each row. ``subjects``
    says whose each row is, None where nobody's, and ``subjects_from`` where that is told.
    """

    sample_ids: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    canary: npt.NDArray[np.bool_]
    paths: tuple[str, ...] | None = None
    properties: dict[str, npt.NDArray[np.str_]] = field(default_factory=dict)
    subjects: npt.NDArray[np.object_] | None = None
    subjects_from: SubjectSource = "--subject"


def score_table(
    ratio: FloatArray,
    rmia: FloatArray | None,
    given: Evidence,
    target_signals: npt.NDArray[Any] | None,
    facts: SampleFacts,
    statistic: str,
    correlation: float,
) -> pd.DataFrame:
    """Join what attacks and models say of every sample.

    Parameters
    ----------
    ratio
        ``[S, N]``: LiRA's ratio, which risk is taken from.
    rmia
        ``[N]`` in [0, 1]: ½ + ½ (mean score where IN − mean where OUT); None where RMIA did not run.
    given
        Signals and membership of the N rows.
    target_signals
        ``[N, Q, K]``; None where there is no target model: its columns are null then.
    facts
        Ids, labels and flags.
    statistic
        What ``ratio`` was computed from.
    correlation
        Of a pair's two models, given their membership.
    """
    keep = given.keep
    models, samples = keep.shape
    asr = attack_success(ratio, keep)
    unknown = np.full(samples, np.nan)
    low, high = unknown, unknown
    if models >= FEWEST_FOR_INTERVAL:
        low, high = risk_interval(asr, given.cells.sum(axis=0), correlation)
    pointing = evidence(ratio, keep)
    of_target = dict.fromkeys(_FROM_TARGET, unknown)
    if target_signals is not None:
        of_target = {name: signal(target_signals[:, 0], name).astype(np.float64) for name in _FROM_TARGET}
    margin = given.plain("margin")
    parted = separation(given.plain(statistic), keep)
    table = pd.DataFrame(
        {
            "sample_id": facts.sample_ids,
            "label": facts.labels,
            "class_name": [facts.class_names[label] for label in facts.labels],
            "risk": asr,
            "risk_low": low,
            "risk_high": high,
            "asr": asr,
            "lira": pointing,
            "rmia": unknown if rmia is None else rmia,
            "margin": of_target["margin"],
            "loss": of_target["loss"],
            "entropy": of_target["entropy"],
            "confidence": of_target["confidence"],
            "tail": _tail(of_target["scaled-logit"], facts),
        }
    )
    order = np.lexsort((facts.sample_ids, -pointing, -asr, facts.canary))
    rank = pd.Series(pd.NA, index=table.index, dtype="Int64")
    rank.iloc[order] = np.arange(1, samples + 1)
    rank[facts.canary] = pd.NA
    table["rank"] = rank
    table["separation"] = parted.accuracy
    table["d_prime"] = parted.d_prime
    table["memorisation"] = memorisation(margin, keep)
    table["shift"] = intrinsic_shift(margin, keep)
    table["canary"] = facts.canary
    if facts.paths is not None:
        table["path"] = facts.paths
    if facts.subjects is not None:
        table["subject"] = pd.array(facts.subjects.tolist(), dtype="str")
    return table


def demand_columns(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table; `StoreError` where it lacks a column of `COLUMNS`."""
    if lacking := [name for name in COLUMNS if name not in table]:
        raise StoreError(
            f"{path} lacks {', '.join(lacking)}: it was written by another version of privaudit",
            hint="Run the same privaudit score again: it trains only what is missing.",
        )
    return table


def _tail(scaled_logit: FloatArray, facts: SampleFacts) -> pd.Series[Any]:
    """The least confident fifth of every class; null without a target model."""
    if np.isnan(scaled_logit).all():
        return pd.Series(pd.NA, index=range(len(scaled_logit)), dtype="boolean")
    return pd.Series(tail_of(scaled_logit, facts.labels, facts.canary))


def tail_of(
    scaled_logit: FloatArray, labels: npt.NDArray[np.int64], canary: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Which samples are among the least confident fifth of their class under one model, ``[N]``."""
    # The scaled logit orders as confidence does, and does not saturate at 1.
    tail = np.zeros(len(scaled_logit), np.bool_)
    for label in np.unique(labels):
        rows = np.flatnonzero((labels == label) & ~canary)
        tail[rows[np.argsort(scaled_logit[rows], kind="stable")[: int(TAIL_SHARE * len(rows))]]] = True
    return tail
