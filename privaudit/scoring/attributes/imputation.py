"""What is guessed of a column without any model: learnt from records that no model was trained on.

A guess that needs no model tells of the population, not of the training data (Jayaraman and Evans 2022). So it is what
an attack is held against, and where its knowledge of other columns comes from.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.estimators.fitted import alone

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Rows = npt.NDArray[Any]

#: Below this many held-out records nothing but the marginal is learnt.
FEWEST = 30

#: Records that are held back in turn to choose between imputations, and the share of a guess that stays the marginal's:
#: an imputation that is sure and wrong would outweigh everything.
FOLDS, MIXED = 3, 0.02

#: Trees of a forest, and the fewest records in a leaf.
TREES, LEAF = 50, 5

NONE = "the marginal"


@dataclass(frozen=True)
class Imputation:
    """What held-out records say of a column.

    Parameters
    ----------
    name
        What was fitted.
    marginal
        float ``[V]``, every value above 0.
    guesses
        float ``[N, V]``, of the records that were asked about.
    """

    name: str
    marginal: Floats
    guesses: Floats


def impute(known: Rows, codes: Codes, asked: Rows, values: int, seed: int) -> Imputation:
    """Learn a column from held-out records, and guess it of others.

    Parameters
    ----------
    known, codes
        Features ``[M, D]`` of held-out records without the column, and which value each has.
    asked
        Features ``[N, D]`` of the records to guess.
    values
        How many candidates there are.
    seed
        Decides what is random in it.
    """
    marginal: Floats = (np.bincount(codes, minlength=values) + 0.5) / np.float64(len(codes) + 0.5 * values)
    alike = np.broadcast_to(marginal, (len(asked), values))
    if len(codes) < FEWEST or len(np.unique(codes)) < 2 or known.shape[1] == 0:
        return Imputation(NONE, marginal, alike.copy())
    folds = np.random.default_rng(seed).permutation(len(codes)) % FOLDS
    losses = {NONE: -float(np.log(marginal[codes]).mean())}
    with alone(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("logistic regression", "a random forest"):
            each = [
                -np.log(_guess(name, known[folds != fold], codes[folds != fold], known[folds == fold], marginal, seed))[
                    np.arange((folds == fold).sum()), codes[folds == fold]
                ]
                for fold in range(FOLDS)
            ]
            losses[name] = float(np.concatenate(each).mean())
        best = min(losses, key=lambda name: losses[name])
        if best == NONE:
            return Imputation(NONE, marginal, alike.copy())
        return Imputation(best, marginal, _guess(best, known, codes, asked, marginal, seed))


def _guess(name: str, known: Rows, codes: Codes, asked: Rows, marginal: Floats, seed: int) -> Floats:
    """Fit to ``known``, and return probabilities ``[N, V]`` of ``asked``, mixed with the marginal."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = np.tile(marginal, (len(asked), 1))
    if len(np.unique(codes)) < 2:
        return found
    model: Any = (
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
        if name == "logistic regression"
        else RandomForestClassifier(TREES, min_samples_leaf=LEAF, random_state=seed % 2**31, n_jobs=1)
    )
    model.fit(known, codes)
    said = np.zeros_like(found)
    said[:, np.asarray(model.classes_, np.int64)] = model.predict_proba(asked)
    return (1 - MIXED) * said + MIXED * found


def with_class(features: Rows, labels: Codes, classes: int) -> Rows:
    """Features with the class of each record behind them, an indicator a class."""
    indicators: Rows = np.eye(classes, dtype=np.float32)[labels]
    return np.concatenate([features, indicators], axis=1)
