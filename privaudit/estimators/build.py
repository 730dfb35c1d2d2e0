"""From what was typed to an estimator that is not fitted, and what tells one from another."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from typing import Any

from privaudit.errors import PrivauditError, UsageError
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


HOW = "Write module.Class(parameter=value, …), or put it into a file: own.py:make."


def build_expression(text: str) -> Any:
    """Build what an expression says.

    Raises
    ------
    UsageError
        Where it says anything but a class of an installed package and its parameters.
    """
    try:
        found = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise UsageError(f"estimator '{text}' is no expression: {error.msg}", hint=HOW) from error
    if not isinstance(found, ast.Call):
        raise UsageError(f"estimator '{text}' builds nothing", hint=HOW)
    try:
        with user_code():
            return _built(found)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"estimator '{text}' can't be built: {error}", hint=HOW) from error


def _built(node: ast.expr) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List():
            return [_built(one) for one in node.elts]
        case ast.Tuple():
            return tuple(_built(one) for one in node.elts)
        case ast.Dict() if None not in node.keys:
            keys = [_built(one) for one in node.keys if one is not None]
            return dict(zip(keys, map(_built, node.values), strict=True))
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str() as word)]):
            return float(word)
        case ast.Call(func=ast.Name(id="slice")):
            return slice(*map(_built, node.args))
        case ast.Call() if not node.args and all(one.arg for one in node.keywords):
            return _class_of(node.func)(**{str(one.arg): _built(one.value) for one in node.keywords})
        case ast.Attribute():
            return _imported(_dotted(node))
    raise ValueError(f"'{ast.unparse(node)}' is neither a value nor a class with parameters by name")


def _class_of(node: ast.expr) -> Any:
    """The class that is called: nothing but an estimator, or part of one, is built."""
    found = _imported(_dotted(node))
    if not (isinstance(found, type) and callable(getattr(found, "get_params", None))):
        raise ValueError(f"{ast.unparse(node)} is no class of scikit-learn's kind: it has no get_params")
    return found


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return f"{_dotted(node.value)}.{node.attr}"
    raise ValueError(f"'{ast.unparse(node)}' is no name")


def _imported(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    if not module:
        raise ValueError(f"'{name}' names no module: write sklearn.ensemble.RandomForestClassifier(…), in full")
    return getattr(importlib.import_module(module), attribute)
