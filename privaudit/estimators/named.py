"""The estimators that have a name here. Each function imports its library when it is called."""

from __future__ import annotations

from typing import Any

from privaudit.errors import UsageError

HOW_TO_INSTALL = "Install it: pip install 'privaudit[estimators]'."


def logistic_regression() -> Any:
    """Standardise the features, then fit scikit-learn's logistic regression with up to 1,000 iterations."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def random_forest() -> Any:
    """scikit-learn's random forest as it comes: 100 trees that grow until their leaves are pure."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier()


def hist_gradient_boosting() -> Any:
    """scikit-learn's gradient boosting on histograms, as it comes."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier()


def xgboost() -> Any:
    """XGBoost's classifier, as it comes."""
    try:
        from xgboost import XGBClassifier
    except ImportError as error:
        raise UsageError("--estimator xgboost: the package xgboost is not installed", hint=HOW_TO_INSTALL) from error
    return XGBClassifier()


def lightgbm() -> Any:
    """LightGBM's classifier, as it comes, by the one order of additions that does not depend on threads."""
    try:
        from lightgbm import LGBMClassifier
    except ImportError as error:
        raise UsageError("--estimator lightgbm: the package lightgbm is not installed", hint=HOW_TO_INSTALL) from error
    return LGBMClassifier(deterministic=True, force_row_wise=True, verbose=-1)
