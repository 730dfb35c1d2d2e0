"""Fitted estimators in files: skops', XGBoost's and LightGBM's own formats. Nothing is unpickled.

A ``.skops`` file names the types of what it holds before any of them is built. What is built is scikit-learn's,
NumPy's and SciPy's own, what the list below adds, and the classes that the audit's own estimator is made of.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.errors import DataError, UsageError
from privaudit.estimators.fitted import FittedEstimator
from privaudit.estimators.tree_checks import demand_sound_trees
from privaudit.runtime.user_code import user_code

#: Types that a file may hold beside those that skops trusts, which are scikit-learn's estimators and NumPy's arrays.
TRUSTED = frozenset(
    {
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "sklearn._loss._loss.CyHalfMultinomialLoss",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
    }
)

#: How files that hold pickles end.
PICKLES = (".joblib", ".pickle", ".pkl")

ENDINGS = (".skops", ".json", ".ubj", ".txt")

HOW = "Save it without pickle: skops.io.dump(estimator, 'target.skops'); XGBoost: estimator.save_model('target.ubj')."


def read_estimator(path: Path, class_names: tuple[str, ...], features: int, own: Any) -> FittedEstimator:
    """Read a fitted estimator.

    Parameters
    ----------
    path
        ``.skops``; ``.json`` or ``.ubj``, XGBoost's; ``.txt``, LightGBM's.
    class_names
        Of the audit's classes: its own must be among them, or their numbers from 0.
    features
        How many a row has.
    own
        The audit's estimator, whose types are trusted too.

    Raises
    ------
    UsageError
        For a file of another ending, or a library that is not installed.
    DataError
        Where it can't be read, holds a type that is not trusted, or does not fit the data.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        why = ": it may be a pickle, which runs whatever code it names" if ending in PICKLES else ""
        raise UsageError(
            f"--target {path}: an estimator is read from {', '.join(ENDINGS)}, not from '{path.suffix}'{why}", hint=HOW
        )
    if not path.is_file():
        raise DataError(f"cannot read --target {path}: there is no such file")
    read = {".skops": _skops, ".txt": _lightgbm}.get(ending, _xgboost)
    found = read(path, own)
    if not callable(getattr(found, "predict_proba", None)):
        raise DataError(f"--target {path} holds a {type(found).__name__}, which has no predict_proba", hint=HOW)
    wanted = getattr(found, "n_features_in_", features)
    if wanted != features:
        raise DataError(
            f"--target {path} takes {wanted} features, and a row of this audit has {features}",
            hint="It must take the features as the audit has them; docs/estimators.md says how to have them.",
        )
    demand_sound_trees(found, features, f"--target {path}")
    return FittedEstimator(found, _classes(found, class_names, path), len(class_names), path.name)


def write_skops(estimator: Any, path: Path) -> None:
    """Write a fitted estimator; `UsageError` where skops is not installed or can't."""
    try:
        import skops.io
    except ImportError as error:
        raise UsageError(
            "the package skops is not installed, which writes estimators without pickle",
            hint="Install it: pip install 'privaudit[estimators]'.",
        ) from error
    skops.io.dump(estimator, path)


def strange_types(path: Path) -> list[str]:
    """Return the types in a ``.skops`` file that are not scikit-learn's, NumPy's or SciPy's own."""
    import skops.io

    return sorted(skops.io.get_untrusted_types(file=path))


def _skops(path: Path, own: Any) -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise UsageError(
            f"--target {path}: the package skops is not installed, which reads it",
            hint="Install it: pip install 'privaudit[estimators]'.",
        ) from error
    with user_code():
        try:
            named = skops.io.get_untrusted_types(file=path)
        except Exception as error:  # What a damaged file raises is not documented.
            raise DataError(f"--target {path} is no readable skops file: {type(error).__name__}: {error}") from error
        strange = sorted(set(named) - TRUSTED - types_of(own))
        if strange:
            raise DataError(
                f"--target {path} holds {', '.join(strange[:5])}{' and more' if len(strange) > 5 else ''}, which are "
                "not scikit-learn's own: they are not loaded",
                hint="Audit with a function that makes the same estimator, --estimator own.py:make: its classes are "
                "trusted.",
            )
        try:
            return skops.io.load(path, trusted=named)
        except Exception as error:
            raise DataError(f"--target {path} can't be loaded: {type(error).__name__}: {error}", hint=HOW) from error


def types_of(estimator: Any) -> set[str]:
    """Return the types that an estimator and its parameters are of, as ``module.Class``."""
    parts = [estimator]
    if callable(getattr(estimator, "get_params", None)):
        parts += list(estimator.get_params(deep=True).values())
    return {f"{type(one).__module__}.{type(one).__qualname__}" for one in parts if type(one).__module__ != "builtins"}


def _xgboost(path: Path, _: Any) -> Any:
    try:
        from xgboost import XGBClassifier
    except ImportError as error:
        raise UsageError(
            f"--target {path}: the package xgboost is not installed, which reads it",
            hint="Install it: pip install 'privaudit[estimators]'.",
        ) from error
    try:
        with user_code():
            found = XGBClassifier(n_jobs=1)
            found.load_model(path)
            return found
    except Exception as error:
        said = (str(error).splitlines() or [""])[0][:200]
        raise DataError(f"--target {path} is no model that XGBoost reads: {said}", hint=HOW) from error


class _Booster:
    """LightGBM's text format holds its booster; this asks it as a classifier is asked."""

    def __init__(self, booster: Any) -> None:
        self.booster = booster
        self.n_features_in_ = booster.num_feature()
        self.classes_ = np.arange(max(2, booster.num_model_per_iteration()))

    def predict_proba(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Probabilities of every class, ``[B, C]``."""
        found = np.asarray(self.booster.predict(rows, num_threads=1), np.float64)
        return np.stack([1 - found, found], axis=1) if found.ndim == 1 else found


def _lightgbm(path: Path, _: Any) -> Any:
    try:
        from lightgbm import Booster
    except ImportError as error:
        raise UsageError(
            f"--target {path}: the package lightgbm is not installed, which reads it",
            hint="Install it: pip install 'privaudit[estimators]'.",
        ) from error
    try:
        with user_code():
            return _Booster(Booster(model_file=str(path)))
    except Exception as error:
        said = (str(error).splitlines() or [""])[0][:200]
        raise DataError(f"--target {path} is no model that LightGBM reads: {said}", hint=HOW) from error


def _classes(found: Any, class_names: tuple[str, ...], path: Path) -> npt.NDArray[np.int64]:
    """Which of the audit's classes each column is of: by name, or by number where none has a name of its own."""
    known = [str(one) for one in np.asarray(getattr(found, "classes_", np.arange(len(class_names)))).tolist()]
    for names in (list(class_names), [str(number) for number in range(len(class_names))]):
        if set(known) <= set(names):
            return np.array([names.index(one) for one in known], np.int64)
    raise DataError(
        f"--target {path} tells {', '.join(known[:8])} apart, and the classes of this audit are "
        f"{', '.join(class_names[:8])}",
        hint="Its classes must be called as they are in the data, or be their numbers from 0, in their order.",
    )
