"""Who is more exposed after unlearning than before: online LiRA of each model, sample by sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks import lira
from privaudit.audit.stored_signals import StoredSignals
from privaudit.evaluation.model_evaluation import Judged
from privaudit.signals import signal
from privaudit.statistics.intervals import mean_interval
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.requests.request_cells import plain

#: How many retained samples are named.
NAMED = 10


def exposure_table(
    models: dict[str, Judged], stored: StoredSignals, forget: ForgetSet, scores: pd.DataFrame
) -> pd.DataFrame:
    """LiRA's ratio of every training sample under every model: above 0 it looks trained on.

    Returns
    -------
    pandas.DataFrame
        ``sample_id, class_name, forgotten`` and one column a model, named after it. For a forget set that takes more
        than half of a class the forgotten rows are NaN: shadow models saw half of it.
    """
    samples = len(scores)
    statistic, keep = signal(stored.shadow[:, :samples, 0], "margin"), stored.keep[:, :samples]
    forgotten = np.isin(np.arange(samples), forget.rows)
    table = scores[["sample_id", "class_name"]].assign(forgotten=forgotten)
    for name, judged in models.items():
        ratio = lira.of_other_model(signal(judged.pool[:samples, 0], "margin"), statistic, keep)
        table[name] = ratio if forget.scattered else np.where(forgotten, np.nan, ratio)
    return table


def summarise(table: pd.DataFrame, models: dict[str, Judged]) -> dict[str, Any]:
    """Who still looks trained on, and who became more exposed.

    Returns
    -------
    dict
        ``called_members``: per model, the share of the forgotten and of the retained whose ratio is above 0 (null for
        the forgotten where that can't be told). ``retained_change``: the mean change of a retained sample's ratio from
        the original model to the unlearned and to the retrained one, with its interval over samples, and the share
        that rose. ``most_exposed``: the retained samples whose ratio rose most.
    """
    parts = {"forget": table[table["forgotten"]], "retain": table[~table["forgotten"]]}
    called = {
        name: {
            part: None if rows[name].isna().all() else float((rows[name] > 0).mean()) for part, rows in parts.items()
        }
        for name in models
    }
    retained = parts["retain"]
    changes = {}
    for name in models:
        if name != "original":
            change = (retained[name] - retained["original"]).to_numpy(np.float64)
            changes[name] = {
                "mean": float(change.mean()),
                "ci": _as_list(mean_interval(change)),
                "rose": float((change > 0).mean()),
            }
    rise = retained["unlearned"] - retained["original"]
    most = retained.assign(rise=rise)[rise > 0].sort_values(["rise", "sample_id"], ascending=[False, True]).head(NAMED)
    shown = ["original", "unlearned", *(["retrained"] if "retrained" in models else [])]
    named = [
        {"sample_id": plain(row["sample_id"]), "class_name": str(row["class_name"])}
        | {name: float(row[name]) for name in shown}
        for row in most.to_dict("records")
    ]
    return {"called_members": called, "retained_change": changes, "most_exposed": named}


def _as_list(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def verdicts_over_time(
    margins: npt.NDArray[np.float32], stored: StoredSignals, forget: ForgetSet
) -> npt.NDArray[np.bool_]:
    """Whether each forget sample counts as forgotten at each look, bool ``[T, n]``.

    LiRA's verdict against the shadow models, where they can say; else that the true class is not on top any more.
    """
    if not forget.scattered:
        return margins <= 0
    statistic = signal(stored.shadow[:, :, 0], "margin")
    x = np.zeros(statistic.shape[1])
    forgotten = np.empty(margins.shape, np.bool_)
    for look, margin in enumerate(margins):
        x[forget.rows] = margin
        forgotten[look] = lira.of_other_model(x, statistic, stored.keep)[forget.rows] < 0
    return forgotten
