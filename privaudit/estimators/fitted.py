"""An estimator fitted to the members alone, and what it says of a row as log-probabilities of every class."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from privaudit.errors import PrivauditError
from privaudit.estimators.build import build_estimator, shown_name
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import derive_seed
from privaudit.runtime.torch_globals import seeded_globals
from privaudit.runtime.user_code import user_code

#: What counts for a probability of 0, and for a class that an estimator never saw: half of the smallest probability
#: above 0 that it gave anybody, within these bounds. A forest of 100 trees gives no less than a vote of one, 0.01; at
#: 1e-6 its zeros would outweigh all else (docs/estimators.md has what other clips come to).
LEAST, MOST = 1e-6, 5e-3

#: scikit-learn's and LightGBM's seeds are signed 32-bit numbers.
SEEDS = 2**31

#: Rows that an estimator which is to know nothing is fitted to.
UNTRAINED_ROWS = 500

#: Rows that are asked about at once.
AT_ONCE = 65_536

Rows = npt.NDArray[Any]


class FittedEstimator(nn.Module):
    """A fitted estimator as a model: features ``[B, D]`` (or images, flattened) in, log-probabilities ``[B, C]`` out.

    Parameters
    ----------
    estimator
        Fitted; None of one that saw a single class, which needs no fit to be named.
    columns
        Which class each column of its probabilities is of.
    classes
        How many classes there are, seen or not.
    name
        What messages call it.
    """

    def __init__(self, estimator: Any, columns: npt.NDArray[np.int64], classes: int, name: str) -> None:
        super().__init__()
        self.estimator = estimator
        self.columns = columns
        self.classes = classes
        self.called = name

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Ask about a batch."""
        return torch.from_numpy(self.log_probabilities(as_samples(inputs)))

    def log_probabilities(self, inputs: Rows) -> npt.NDArray[np.float32]:
        """Return the logarithm of every class's probability, clipped, float32 ``[B, C]``.

        The rows that are asked about together decide the clip: a store's are all that there are.

        Raises
        ------
        PrivauditError
            Where it can't say, or says what is no probability.
        """
        rows = as_features(inputs)
        parts = [self._probabilities(rows[first : first + AT_ONCE]) for first in range(0, len(rows), AT_ONCE)]
        found = np.zeros((len(rows), self.classes))
        found[:, self.columns] = np.concatenate(parts)
        logs: npt.NDArray[np.float32] = np.log(np.clip(found, clip_of(found), 1.0)).astype(np.float32)
        return logs

    def _probabilities(self, rows: Rows) -> npt.NDArray[np.float64]:
        if self.estimator is None:
            return np.ones((len(rows), 1))
        with alone(0), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = np.asarray(self.estimator.predict_proba(rows), np.float64)
            except (PrivauditError, MemoryError):
                raise
            except Exception as error:
                raise _failed(self.called, "predict_proba", error) from error
        wanted = (len(rows), len(self.columns))
        if found.shape != wanted:
            raise PrivauditError(
                f"estimator {self.called}: predict_proba of {len(rows)} rows has shape {found.shape}; of a classifier "
                f"that saw {len(self.columns)} classes it is {wanted}"
            )
        if not bool(np.isfinite(found).all()) or found.min() < -LEAST or found.max() > 1 + LEAST:
            raise PrivauditError(f"estimator {self.called}: predict_proba gives values that are no probabilities")
        return found


def clip_of(probabilities: npt.NDArray[np.float64]) -> float:
    """Return what counts for a probability of 0 among these."""
    above = probabilities[probabilities > 0]
    return float(np.clip(above.min() / 2 if len(above) else MOST, LEAST, MOST))


def as_samples(batch: torch.Tensor) -> Rows:
    """Return a network's inputs as the audit has them: images ``[B, H, W, C]`` of ``[B, C, H, W]``."""
    found: Rows = (batch.permute(0, 2, 3, 1) if batch.ndim == 4 else batch).detach().cpu().numpy()
    return found


def as_features(inputs: Rows) -> npt.NDArray[np.float32]:
    """Return rows of float32 features: a table as it is; images ``[B, H, W, C]`` on the 0–1 scale, flattened."""
    rows = inputs.astype(np.float32) / np.float32(255) if inputs.dtype == np.uint8 else inputs
    return np.ascontiguousarray(rows.reshape(len(rows), -1), np.float32)


@contextmanager
def alone(seed: int) -> Iterator[None]:
    """Run a library with the global generators seeded, and with one thread: the order of additions never varies."""
    with user_code(), seeded_globals(seed), threadpool_limits(limits=1):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        yield


def fit_estimator(
    name: str, inputs: Rows, labels: npt.NDArray[np.int64], classes: int, seed: int
) -> tuple[FittedEstimator, float]:
    """Fit a new estimator.

    Parameters
    ----------
    name
        As `privaudit.estimators.build.build_estimator` takes it.
    inputs, labels
        Of the members alone.
    classes
        How many there are, whether they are among the labels or not.
    seed
        Decides everything random: it is what every ``random_state`` comes from, and the global generators.

    Returns
    -------
    tuple
        The fitted estimator, and the seconds that it took.
    """
    called, start = shown_name(name), time.perf_counter()
    seen = np.unique(labels)
    if len(seen) == 1:
        return FittedEstimator(None, seen, classes, called), 0.0
    rows = as_features(inputs)
    with alone(seed), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        fitted = _fit(name, called, rows, labels, seed)
    for said in dict.fromkeys(str(one.message).splitlines()[0][:160] for one in caught if str(one.message)):
        talk(f"  estimator {called} warns: {said}")
    columns = _columns(fitted, seen, called)
    return FittedEstimator(fitted, columns, classes, called), time.perf_counter() - start


def fit_untrained(name: str, inputs: Rows, labels: npt.NDArray[np.int64], classes: int, seed: int) -> FittedEstimator:
    """Fit an estimator to a few of the rows that no model learns from, with their labels mixed: it knows nothing."""
    draw = np.random.default_rng(seed)
    rows = np.sort(draw.permutation(len(labels))[:UNTRAINED_ROWS])
    return fit_estimator(name, inputs[rows], draw.permutation(labels[rows]), classes, seed)[0]


def _fit(name: str, called: str, rows: Rows, labels: npt.NDArray[np.int64], seed: int) -> Any:
    """Fit by the labels as they are; what wants them without gaps (XGBoost does) by their places among those seen."""
    places = np.searchsorted(np.unique(labels), labels)
    try:
        try:
            return seeded(build_estimator(name), seed).fit(rows, labels)
        except ValueError:
            if np.array_equal(places, labels):
                raise
            return seeded(build_estimator(name), seed).fit(rows, places)
    except (PrivauditError, MemoryError):
        raise
    except Exception as error:
        raise _failed(called, "fit", error) from error


def seeded(estimator: Any, seed: int) -> Any:
    """Set every ``random_state`` of an estimator and of what is nested in it, and one thread for each."""
    if not callable(getattr(estimator, "get_params", None)):
        return estimator
    changes: dict[str, int] = {}
    parameters = estimator.get_params(deep=True)
    for key, value in sorted(parameters.items(), key=lambda one: one[0]):
        owner, _, name = key.rpartition("__")
        if name == "random_state":
            changes[key] = derive_seed(seed, key) % SEEDS
        # Where scikit-learn is told nothing it takes one thread; these take all.
        greedy = type(parameters.get(owner, estimator)).__module__.startswith(("xgboost", "lightgbm"))
        if name == "n_jobs" and (greedy if value is None else value != 1):
            changes[key] = 1
    return estimator.set_params(**changes) if changes else estimator


def _columns(fitted: Any, seen: npt.NDArray[np.int64], called: str) -> npt.NDArray[np.int64]:
    """Which class each column is of: by ``classes_``, where the estimator has it, else those seen in their order."""
    known = np.asarray(getattr(fitted, "classes_", seen))
    if np.array_equal(known, seen):
        return seen
    if np.array_equal(known, np.arange(len(seen))):  # It was fitted by places.
        return seen
    raise PrivauditError(f"estimator {called}: its classes_ are {known.tolist()[:8]}, and it saw {seen.tolist()[:8]}")


def _failed(called: str, method: str, error: Exception) -> PrivauditError:
    said = (str(error).splitlines() or [""])[0][:300]
    return PrivauditError(
        f"estimator {called}: {method} failed: {type(error).__name__}: {said}",
        hint="It gets float32 features without gaps, and classes as numbers from 0. A pipeline can prepare them.",
    )
