"""The target model itself: its members against never-trained samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.attacks import lira
from privaudit.results.measures import Attack
from privaudit.runtime.seeds import generator
from privaudit.shadow.design import paired_design
from privaudit.signals import signal
from privaudit.statistics.performance import performance


def audit_target(
    shadow_signals: npt.NDArray[Any],
    keep: npt.NDArray[np.bool_],
    member_signals: npt.NDArray[Any],
    shadow_test: npt.NDArray[Any],
    model_test: npt.NDArray[Any],
    seed: int,
) -> Attack:
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
    Attack
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
