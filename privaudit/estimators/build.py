"""From what was typed to an estimator that is not fitted, and what tells one from another."""

from __future__ import annotations

import re
import sys
from typing import Any

from privaudit.errors import PrivauditError, UsageError
from privaudit.estimators.expression import build_expression
from privaudit.objects.estimator_text import estimator_text
from privaudit.runtime.registry import Registry, absolute_reference, import_reference, source_digest, without_folder
from privaudit.runtime.user_code import user_code

#: Estimators by name; installed packages add theirs by the entry-point group ``privaudit.estimators``. Each is a
#: function without arguments that returns an estimator which is not fitted.
ESTIMATORS = Registry(
    "estimator",
    {
        "hist-gradient-boosting": "privaudit.estimators.named:hist_gradient_boosting",
        "lightgbm": "privaudit.estimators.named:lightgbm",
        "logistic-regression": "privaudit.estimators.named:logistic_regression",
        "random-forest": "privaudit.estimators.named:random_forest",
        "xgboost": "privaudit.estimators.named:xgboost",
    },
)

#: What fits estimators, by the names of their packages.
ESTIMATOR_LIBRARIES = ("scikit-learn", "xgboost", "lightgbm")

_CALIBRATE = "Wrap it: sklearn.calibration.CalibratedClassifierCV(…) gives probabilities to what has none."


def is_expression(name: str) -> bool:
    """Tell whether an estimator is named by the expression that builds it."""
    return name.endswith(")")


def lasting_estimator(name: str) -> str:
    """Return the same name from whatever folder it is read."""
    return name if is_expression(name) else absolute_reference(name)


def build_estimator(name: str) -> Any:
    """Return a new estimator that is not fitted.

    Parameters
    ----------
    name
        One of `ESTIMATORS`, ``FILE.py:make``, ``module:make``, or an expression.

    Raises
    ------
    UsageError
        Where there is none of that name, or what there is has no ``fit`` or ``predict_proba``.
    """
    if is_expression(name):
        made = build_expression(name)
    else:
        factory = import_reference(name, "estimator") if ":" in name else ESTIMATORS.load(name)
        made = _call(factory, without_folder(name))
    lacking = [method for method in ("fit", "predict_proba") if not callable(getattr(made, method, None))]
    if lacking:
        raise UsageError(
            f"estimator {shown_name(name)} is a {type(made).__name__}, which has no {' and no '.join(lacking)}",
            hint=_CALIBRATE if lacking == ["predict_proba"] else "It must be a classifier of scikit-learn's kind.",
        )
    return _unfitted(made)


def _call(factory: Any, name: str) -> Any:
    try:
        with user_code():
            return factory()
    except PrivauditError:
        raise
    except Exception as error:
        raise UsageError(
            f"estimator {name} can't be made: {type(error).__name__}: {error}",
            hint="It must be a function without arguments that returns an estimator.",
        ) from error


def _unfitted(made: Any) -> Any:
    """What was fitted before, or is handed out twice, as a new one; by scikit-learn's own clone where that can."""
    from sklearn.base import clone

    return clone(made) if callable(getattr(made, "get_params", None)) else made


def estimator_identity(name: str) -> dict[str, str | None]:
    """Return what tells one estimator from another.

    That is its name without folders, or its expression; the SHA-256 of the file or package that makes it; and, of what
    is made by name or by an expression, its class and every parameter that is not its library's default.
    """
    if is_expression(name):
        text = estimator_text(build_estimator(name))
        return {"name": text, "builds": text, "source": None}
    source = source_digest(import_reference(name, "estimator")) if ":" in name else ESTIMATORS.source(name)
    builds = estimator_text(build_estimator(name)) if ESTIMATORS.is_ours(name) else None
    return {"name": without_folder(name), "builds": builds, "source": source}


def shown_name(name: str) -> str:
    """Return how an estimator is called: of an expression by its class, of a pipeline by those of its steps."""
    if not is_expression(name):
        return without_folder(name)
    classes = re.findall(r"(\w+)\(", re.sub(r"'[^']*'|\"[^\"]*\"", "", name))
    steps = [one for one in classes if one not in ("slice", "float")]
    return "-".join(steps[1:] if len(steps) > 1 and steps[0] == "Pipeline" else steps[:1])


def library_versions_of(name: str | None) -> dict[str, str]:
    """Return the versions of what fits it, of those libraries that are loaded by now, beside scikit-learn."""
    libraries = () if name is None else ESTIMATOR_LIBRARIES[1:]
    loaded = {library: sys.modules.get(library) for library in libraries}
    return {library: str(module.__version__) for library, module in loaded.items() if module is not None}
