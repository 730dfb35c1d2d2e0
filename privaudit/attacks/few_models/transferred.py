"""An attack that is learned on shadow models, as if each were the target, and then asked about the target.

An attack classifier learned on shadow models is Shokri et al.'s (2017); what it reads is what the attacked model says
of a sample beside what models say that never saw it, as difficulty calibration does (Watson et al. 2022). So one pair
of shadow models tells both what a member and what a stranger looks like, at every difficulty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.statistics.intervals import FloatArray

#: Strength of the penalty: as scikit-learn's C counts it.
PENALTY = 1.0

#: Beyond so many standard deviations an answer counts as that far.
FAR = 6.0

#: From so many reference models on, their spread is told too.
FEWEST_FOR_SPREAD = 2


def transferred(
    target: npt.NDArray[Any],
    shadows: npt.NDArray[Any],
    seen: npt.NDArray[np.bool_],
    member: npt.NDArray[np.bool_],
    fold: npt.NDArray[np.int64],
) -> FloatArray:
    """Score by the log odds of being a member, as learned from the shadow models.

    A logistic regression on squares and products of what the attacked model says and of the mean of what models say
    that never saw the sample: between two Gaussians the log-likelihood ratio is such a form. Each shadow model in turn
    stands for the target: its members against never-trained samples.

    Parameters
    ----------
    target
        ``[n, K]``: what the target says of members and then of never-trained samples, by as many statistics.
    shadows
        ``[S, n, K]``: the same of the shadow models, which come in complementary pairs.
    seen
        bool ``[S, n]``: what each was trained on; of never-trained samples what a design of that kind makes up, so that
        as many models speak for everybody.
    member, fold
        ``[n]``: who is a member of the target, and who is judged together. A sample is judged by what was learned from
        other folds: a shadow model may have it for a member.

    Returns
    -------
    numpy.ndarray
        float64 ``[n]``.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    rows, described, side = [], [], []
    for model, answers in enumerate(shadows):
        # It is none of the models that never saw these samples, so as many speak for each as for the target's.
        one = np.flatnonzero(seen[model])
        rows.append(one)
        described.append(_described(answers[one], shadows[:, one], ~seen[:, one]))
        side.append(member[one])
    learned, is_member, known = np.concatenate(described), np.concatenate(side), fold[np.concatenate(rows)]
    asked, scores = _described(target, shadows, ~seen), np.empty(len(target))
    with threadpool_limits(1):
        for one in np.unique(fold):
            form = _Form(learned[known != one])
            model = LogisticRegression(C=PENALTY, max_iter=500)
            model.fit(form.of(learned[known != one]), is_member[known != one])
            scores[fold == one] = model.decision_function(form.of(asked[fold == one]))
    return scores


def _described(said: npt.NDArray[Any], others: npt.NDArray[Any], out: npt.NDArray[np.bool_]) -> FloatArray:
    """What is said of samples ``[n, K]`` beside mean (and spread of the first statistic) of the reference models."""
    count, values = out.sum(axis=0)[:, np.newaxis], np.asarray(others, np.float64)
    mean = np.where(out[:, :, np.newaxis], values, 0.0).sum(axis=0) / count
    parts = [np.asarray(said, np.float64), mean]
    if count.min() >= FEWEST_FOR_SPREAD:
        squares = np.where(out, (values[:, :, 0] - mean[:, 0]) ** 2, 0.0).sum(axis=0)[:, np.newaxis]
        parts.append(np.sqrt(squares / count))
    return np.concatenate(parts, axis=1)


class _Form:
    """Columns brought to one scale, with their squares and products; the scales are those of what is learned from."""

    def __init__(self, columns: FloatArray) -> None:
        self._mean = columns.mean(axis=0)
        deviation = columns.std(axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)

    def of(self, columns: FloatArray) -> FloatArray:
        """Return ``[n, d + d (d + 1) / 2]`` of ``[n, d]``."""
        one = np.clip((columns - self._mean) / self._deviation, -FAR, FAR)
        first, second = np.triu_indices(one.shape[1])
        return np.concatenate([one, one[:, first] * one[:, second]], axis=1)
