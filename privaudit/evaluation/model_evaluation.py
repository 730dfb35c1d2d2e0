"""What a model makes of the forgotten, the retained and the never-seen: accuracy, difficulty, and a second audit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.attacks import lira
from privaudit.attacks.risk import attack_success
from privaudit.audit.stored_signals import StoredSignals
from privaudit.evaluation.measures.difficulty import per_sample_difficulty
from privaudit.evaluation.measures.utility import accuracy
from privaudit.scoring.reliability.split_halves import halves_of
from privaudit.scoring.target_audit import audit_target
from privaudit.signals import signal
from privaudit.unlearning.requests.forget_set import ForgetSet


@dataclass(frozen=True)
class Judged:
    """Signals of one model on the pool and on the reported test samples; its logits on the forgotten and on test."""

    pool: npt.NDArray[np.float32]
    test: npt.NDArray[np.float32]
    forget_logits: npt.NDArray[np.float32]
    test_logits: npt.NDArray[np.float32]

    def accuracies(self, forget: ForgetSet, retain: npt.NDArray[np.int64]) -> dict[str, float]:
        """Accuracy on D_u, D_r and test."""
        margin = signal(self.pool[:, 0], "margin")
        return {
            "forget": accuracy(margin[forget.rows]),
            "retain": accuracy(margin[retain]),
            "test": accuracy(signal(self.test[:, 0], "margin")),
        }


@dataclass(frozen=True)
class Reference:
    """What a model without the sample says of it, and the risk that may be held against it.

    Parameters
    ----------
    kind
        In words, for the report.
    margin
        ``[n]`` margins of the forget samples; None where nothing can say.
    risk
        ``[n]``: measured by other models than those of the reference where there are enough of them.
    """

    kind: str | None
    margin: npt.NDArray[Any] | None
    risk: npt.NDArray[Any]


def of_models(stored: StoredSignals, judging: npt.NDArray[np.bool_]) -> StoredSignals:
    """The signals of those shadow models alone that may judge; a mask ``[S]`` of whole pairs."""
    if judging.all():
        return stored
    return replace(
        stored,
        keep=stored.keep[judging],
        shadow=stored.shadow[judging],
        shadow_test=stored.shadow_test[judging],
        untrained=stored.untrained[judging],
    )


def risk_by(stored: StoredSignals, statistic: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """ASR of some rows of the pool by these shadow models alone."""
    # The forget set alone would make a poor pooled variance: the fit is over every sample.
    return attack_success(lira.online(signal(stored.shadow, statistic), stored.keep), stored.keep)[rows]


def choose_reference(
    models: dict[str, Judged],
    stored: StoredSignals,
    forget: ForgetSet,
    risk: npt.NDArray[Any],
    statistic: str,
) -> Reference:
    """The retrained model where there is one, else the mean of the shadow models that never saw the sample.

    Risk comes from those shadow models too. So each takes its own half of the pairs, or the relation of risk to
    fidelity and shift would be built in.
    """
    if "retrained" in models:
        return Reference("retrained model", signal(models["retrained"].pool[forget.rows, 0], "margin"), risk)
    if not forget.scattered:
        return Reference(None, None, risk)
    shadow, keep = stored.shadow[:, forget.rows], stored.keep[:, forget.rows]
    halves = halves_of(len(keep))
    if halves is None:
        kind = "shadow models that never saw a sample (too few to measure risk on others: the relation is built in)"
        return Reference(kind, mean_outside(shadow, keep), risk)
    of_risk, of_reference = halves
    measuring = replace(stored, shadow=stored.shadow[of_risk], keep=stored.keep[of_risk])
    return Reference(
        "half of the shadow models, those that never saw a sample; risk from the other half",
        mean_outside(shadow[of_reference], keep[of_reference]),
        risk_by(measuring, statistic, forget.rows),
    )


def mean_outside(shadow: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Mean margin ``[n]`` of samples ``[S, n, Q, K]`` under the models that did not see them (``keep`` False)."""
    margin = signal(shadow[:, :, 0], "margin").astype(np.float64)
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
