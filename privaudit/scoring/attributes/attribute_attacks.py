"""Guesses of a column's value from a model's answers: arrays in, scores of every candidate out.

The attacker knows a record but for one column, asks a model about it once with each candidate value v in the gap, and
reads how sure the model is of the record's class y. Three ways of guessing, each a sum of two logarithms:

confidence (Fredrikson et al. 2014)
    log p(y | x, v) + log P(v), the marginal of the column.
confidence and imputation (Bayes with what the other columns say)
    log p(y | x, v) + log q(v | x), where q was learnt from records that no model saw.
calibrated (a membership oracle asked of each candidate, as in Yeom et al. 2018, the oracle that of offline LiRA)
    w · (φ(v) − mean of φ(v) over models that did not see the record) + log q(v | x, y), φ the margin.

A record with its true value was trained on or not, whereas one with another value never was. So a model that remembers
records is surer of the true one *than other models are*, and what every model says alike, since it holds in the
population, cancels. The weight w ≥ 0 is that of a conditional logit, learnt from the other pairs of models: for normal
φ of deviation σ that membership shifts by δ it is δ/σ².
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]

#: Steps of Newton's method for the weight, and the most records that it is learnt from.
STEPS, LEARNT_FROM = 30, 4_000

#: The largest weight: margins of estimators may be constant where there is nothing to tell.
HEAVIEST = 1e3


@dataclass(frozen=True)
class Answers:
    """What models said of records with every candidate value in place of the true one.

    Parameters
    ----------
    margins, losses
        float ``[S, N, V]``: of the record's class, model by model; ``−loss`` is log p(y | x, v). Models 2p and 2p+1 are
        complements.
    keep
        bool ``[S, N]``: who saw which record.
    truth
        int ``[N]``: which candidate is the true one.
    prior
        float ``[V]``: the column's marginal among records that no model saw.
    from_others, from_all
        float ``[N, V]``: what other columns, and these with the class, say of the candidates.
    """

    margins: Floats
    losses: Floats
    keep: Truths
    truth: Codes
    prior: Floats
    from_others: Floats
    from_all: Floats

    def of_models(self, left: Truths) -> Answers:
        """The same of some models alone."""
        return Answers(
            self.margins[left], self.losses[left], self.keep[left], self.truth, self.prior, self.from_others,
            self.from_all,
        )  # fmt: skip


def confidence(answers: Answers) -> Floats:
    """Score every candidate by the model's confidence and the marginal: ``[S, N, V]``."""
    scores: Floats = np.log(answers.prior) - answers.losses
    return scores


def confidence_and_imputation(answers: Answers) -> Floats:
    """Score every candidate by the model's confidence and by what other columns say."""
    scores: Floats = np.log(answers.from_others) - answers.losses
    return scores


def calibrated(answers: Answers) -> Floats:
    """Score every candidate by how much surer the model is than those that did not see the record."""
    excess = excess_of(answers.margins, answers.keep)
    weights = weights_of(excess, answers)
    scores: Floats = np.log(answers.from_all) + weights[:, np.newaxis, np.newaxis] * excess
    return scores


def calibrated_of_target(answers: Answers, margins: Floats) -> Floats:
    """The same of a model that saw every record, ``margins [N, V]``: against all models that did not see it."""
    outside = ~answers.keep[..., np.newaxis]
    mean = (answers.margins * outside).sum(axis=0) / outside.sum(axis=0)
    weight = _each_weight(excess_of(answers.margins, answers.keep), answers).mean()
    scores: Floats = np.log(answers.from_all) + weight * (margins - mean)
    return scores


#: Every attack by its name in results.
ATTACKS: dict[str, Callable[[Answers], Floats]] = {
    "calibrated": calibrated,
    "confidence": confidence,
    "confidence-and-imputation": confidence_and_imputation,
}


def excess_of(margins: Floats, keep: Truths) -> Floats:
    """Margins less their mean over models that did not see the record, the model and its complement left out.

    Of either of a pair so many others did not see the record: S/2 − 1, whether the model itself saw it or not.
    """
    outside = ~keep[..., np.newaxis]
    unseen = np.where(outside, margins, 0.0)
    own_pair = np.repeat(unseen[0::2] + unseen[1::2], 2, axis=0)
    others = outside.sum(axis=0) - 1
    excess: Floats = margins - (unseen.sum(axis=0) - own_pair) / np.maximum(others, 1)
    return excess


def weights_of(excess: Floats, answers: Answers) -> Floats:
    """The weight ``[S]`` of each model's excess: the mean of those that fit the other pairs best."""
    each = _each_weight(excess, answers)
    pairs = len(each)
    return np.repeat((each.sum() - each) / max(pairs - 1, 1), 2)


def _each_weight(excess: Floats, answers: Answers) -> Floats:
    """By pair, the weight under which the true values of records that a model saw are likeliest."""
    records = len(answers.truth)
    rows = np.arange(0, records, -(-records // LEARNT_FROM))
    prior, truth = np.log(answers.from_all[rows]), answers.truth[rows]
    first = answers.keep[0::2][:, rows, np.newaxis]
    seen = np.where(first, excess[0::2][:, rows], excess[1::2][:, rows])
    return np.array([conditional_logit(one, prior, truth) for one in seen])


def conditional_logit(values: Floats, prior: Floats, truth: Codes) -> float:
    """Return the w ≥ 0 that maximises Σ log softmax(w · values + prior)[truth], by Newton's method, damped.

    Parameters
    ----------
    values, prior
        ``[N, V]``, the prior as logarithms.
    truth
        ``[N]``.
    """
    rows = np.arange(len(truth))
    scale = float(np.abs(values - values.mean(axis=1, keepdims=True)).mean())
    if scale <= 1e-12:
        return 0.0
    scaled, weight, best = values / scale, 0.0, -np.inf
    step = 0.0
    for _ in range(STEPS):
        exponents = weight * scaled + prior
        exponents -= exponents.max(axis=1, keepdims=True)
        shares = np.exp(exponents)
        shares /= shares.sum(axis=1, keepdims=True)
        gain = float(np.log(np.maximum(shares[rows, truth], 1e-300)).sum())
        if gain < best - 1e-9:  # Too far: half of the way back.
            step /= 2
            weight -= step
            continue
        best = gain
        mean = (shares * scaled).sum(axis=1)
        slope = float((scaled[rows, truth] - mean).sum())
        curvature = float(((shares * scaled**2).sum(axis=1) - mean**2).sum())
        if abs(slope) <= 1e-7 * len(rows) or curvature <= 1e-12 * len(rows):
            break
        aim = min(max(weight + slope / curvature, 0.0), HEAVIEST)
        step = aim - weight
        weight = aim
        if abs(step) <= 1e-9:
            break
    return weight / scale
