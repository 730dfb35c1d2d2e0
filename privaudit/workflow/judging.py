"""What a model makes of the forgotten, the retained and the never-seen: accuracy, difficulty, and a second audit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.evaluation.difficulty import per_sample_difficulty
from privaudit.evaluation.utility import accuracy
from privaudit.scoring import audit_target
from privaudit.signals import signal
from privaudit.unlearning.forget_set import ForgetSet
from privaudit.workflow.score import StoredSignals


@dataclass(frozen=True)
class Judged:
    """Margins and signals of one model on the pool and on the reported test samples."""

    pool: npt.NDArray[np.float32]
    test: npt.NDArray[np.float32]

    def accuracies(self, forget: ForgetSet, retain: npt.NDArray[np.int64]) -> dict[str, float]:
        """Accuracy on D_u, D_r and test."""
        margin = signal(self.pool[:, 0], "margin")
        return {
            "forget": accuracy(margin[forget.rows]),
            "retain": accuracy(margin[retain]),
            "test": accuracy(signal(self.test[:, 0], "margin")),
        }


def reference_margin(models: dict[str, Judged], stored: StoredSignals, forget: ForgetSet) -> npt.NDArray[Any] | None:
    """What a model without the sample says of it: the retrained one, else the mean of the shadow models OUT."""
    if "retrained" in models:
        return signal(models["retrained"].pool[forget.rows, 0], "margin")
    if not forget.scattered:
        return None
    margin = signal(stored.shadow[:, forget.rows, 0], "margin").astype(np.float64)
    keep = stored.keep[:, forget.rows]
    mean: npt.NDArray[Any] = np.where(keep, 0.0, margin).sum(axis=0) / (~keep).sum(axis=0)
    return mean


def difficulty_of(models: dict[str, Judged], forget: ForgetSet, reference: npt.NDArray[Any] | None) -> pd.DataFrame:
    """Per-sample difficulty of the forgotten, in margins."""
    margins = {
        name: signal(judged.pool[forget.rows, 0], "margin").astype(np.float64) for name, judged in models.items()
    }
    return per_sample_difficulty(margins["original"], margins["unlearned"], reference)


def audit_again(
    models: dict[str, Judged],
    stored: StoredSignals,
    forget: ForgetSet,
    retain: npt.NDArray[np.int64],
    reported: npt.NDArray[np.int64],
    seed: int,
) -> dict[str, Any]:
    """Offline LiRA of every model: its forget and its retain samples against never-trained ones."""
    again: dict[str, Any] = {}
    for name, judged in models.items():
        again[name] = {}
        for part, rows in (("forget", forget.rows), ("retain", retain)):
            # Shadow models saw half of any class: they can't say how a model without a whole class behaves.
            if part == "forget" and not forget.scattered:
                again[name][part] = None
                continue
            found = audit_target(
                stored.shadow[:, rows],
                stored.keep[:, rows],
                judged.pool[rows],
                stored.shadow_test[:, reported],
                judged.test,
                seed,
            )
            again[name][part] = {key: value for key, value in found.to_json().items() if key != "curve"}
    return again
