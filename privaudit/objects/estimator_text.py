"""An estimator as text: the expression that builds it again.

An estimator that is given as an object is kept as the expression that builds it again, so that workers and later
commands find it, and so that nothing is pickled: ``sklearn.ensemble.RandomForestClassifier(max_depth=3)``.
"""

from __future__ import annotations

import inspect
import math
import sys
from typing import Any

from privaudit.errors import UsageError

#: Parameters that change no answer or are set for every model anew: no text says them.
NEVER_SAID = ("random_state", "n_jobs", "verbose")

HOW = "Put it into a file, own.py, as def make(): return …, and give that: estimator='own.py:make'."


def estimator_text(estimator: Any) -> str:
    """Return the expression that builds an estimator with the same parameters.

    Parameters
    ----------
    estimator
        Anything with scikit-learn's ``get_params``.

    Raises
    ------
    UsageError
        Where its class lies in no module that can be imported again, or a parameter can't be written down.
    """
    name = importable_name(type(estimator))
    if name is None:
        raise UsageError(
            f"estimator {type(estimator).__name__} can't be found again by workers and later commands: its class lies "
            "in the script or the notebook that runs",
            hint=HOW,
        )
    default = _defaults(type(estimator))
    said = []
    for key, value in sorted(estimator.get_params(deep=False).items()):
        if key in NEVER_SAID or (key in default and _same(value, default[key])):
            continue
        said.append(f"{key}={_value(value, f'{type(estimator).__name__}.{key}')}")
    return f"{name}({', '.join(said)})"


def _defaults(kind: type) -> dict[str, Any]:
    """What an estimator of this class has where nothing is said."""
    try:
        return dict(kind().get_params(deep=False))
    except TypeError:  # It needs to be told something.
        parameters = inspect.signature(kind).parameters.values()
        return {one.name: one.default for one in parameters if one.default is not one.empty}


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and repr(value) == repr(default)


def importable_name(found: Any) -> str | None:
    """The shortest ``module.name`` by which a class or function can be imported; None where there is none."""
    module, name = getattr(found, "__module__", None), getattr(found, "__qualname__", getattr(found, "__name__", ""))
    if module is None:  # A function of NumPy's.
        module = "numpy"
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        place = ".".join(parts[:depth])
        known = place != "__main__" and not place.startswith("privaudit_user_")
        if known and getattr(sys.modules.get(place), name, None) is found:
            return f"{place}.{name}"
    return None


def _value(value: Any, what: str) -> str:
    """One parameter's value as Python writes it."""
    match value:
        case None | bool() | int() | str():
            return repr(value)
        case float():
            return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
        case list():
            return f"[{', '.join(_value(one, what) for one in value)}]"
        case tuple():
            return f"({', '.join(_value(one, what) for one in value)}{',' * (len(value) == 1)})"
        case dict():
            pairs = (f"{_value(key, what)}: {_value(one, what)}" for key, one in value.items())
            return "{" + ", ".join(pairs) + "}"
        case slice():
            return f"slice({value.start!r}, {value.stop!r}, {value.step!r})"
    if callable(getattr(value, "get_params", None)) and not isinstance(value, type):
        return estimator_text(value)
    if callable(getattr(value, "item", None)) and getattr(value, "shape", None) == ():
        return _value(value.item(), what)
    if callable(getattr(value, "tolist", None)):
        return _value(value.tolist(), what)
    name = importable_name(value) if callable(value) else None
    if name is None:
        raise UsageError(f"{what} is a {type(value).__name__}, which no text can say", hint=HOW)
    return name
