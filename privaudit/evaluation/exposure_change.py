"""Who is more exposed after unlearning than before: online LiRA of each model, sample by sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.evaluation.answers import Answers
from privaudit.evaluation.shadow_evidence import ShadowEvidence
from privaudit.results.unlearning.run import CalledMembers, ExposedSample, ExposureChange, RetainedChange
from privaudit.statistics.intervals import mean_interval
from privaudit.unlearning.requests.request_cells import plain

#: How many retained samples are named.
NAMED = 10


def exposure_table(answers: Mapping[str, Answers], evidence: ShadowEvidence) -> pd.DataFrame:
    """Return LiRA's ratio of every training sample under every model: above 0 it looks trained on.

    Returns
    -------
    pandas.DataFrame
        ``sample_id, class_name, forgotten`` and one column a model, named after it. For a forget set that takes more
        than half of a class the forgotten rows are NaN: shadow models saw half of it.
    """
    scores, forget = evidence.problem.bench.table, evidence.problem.forget
    forgotten = np.isin(np.arange(len(scores)), forget.rows)
    table = scores[["sample_id", "class_name"]].assign(forgotten=forgotten)
    for name, one in answers.items():
        ratio = evidence.ratio(one)
        table[name] = ratio if forget.scattered else np.where(forgotten, np.nan, ratio)
    return table


def summarise(table: pd.DataFrame, models: Iterable[str]) -> ExposureChange:
    """Say who still looks trained on, and which `NAMED` retained samples became most exposed."""
    forgotten, retained = table[table["forgotten"]], table[~table["forgotten"]]
    shown = [name for name in ("original", "unlearned", "retrained") if name in table]
    rise = retained["unlearned"] - retained["original"]
    most = retained.assign(rise=rise)[rise > 0].sort_values(["rise", "sample_id"], ascending=[False, True]).head(NAMED)
    return ExposureChange(
        called_members={
            name: CalledMembers(forget=called(forgotten[name].to_numpy()), retain=called(retained[name].to_numpy()))
            for name in models
        },
        retained_change={name: _change(retained[name] - retained["original"]) for name in models if name != "original"},
        most_exposed=tuple(
            ExposedSample(
                sample_id=plain(row["sample_id"]),
                class_name=str(row["class_name"]),
                **{name: float(row[name]) for name in shown},
            )
            for row in most.to_dict("records")
        ),
    )


def called(ratio: npt.ArrayLike) -> float | None:
    """Return the share of samples that LiRA calls trained-on, given its ratios ``[n]``; None where it can't say."""
    values = np.asarray(ratio, np.float64)
    return None if np.isnan(values).all() else float((values > 0).mean())


def _change(change: pd.Series[float]) -> RetainedChange:
    values = change.to_numpy(np.float64)
    return RetainedChange(mean=float(values.mean()), ci=mean_interval(values), rose=float((values > 0).mean()))
