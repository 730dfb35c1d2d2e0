"""Expressions that build an estimator, ``sklearn.svm.SVC(C=2.0, probability=True)``: read, never evaluated.

Of Python's language there are names, calls with keywords, and literals; nothing else is understood.
"""

from __future__ import annotations

import ast
import importlib
from typing import Any

from privaudit.errors import UsageError
from privaudit.runtime.user_code import user_code

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
