"""A network that is given as a function or a class: which it is, and how it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from privaudit.errors import UsageError
from privaudit.objects.carried import pickled
from privaudit.objects.code_identity import CodeIdentity, identify_code
from privaudit.objects.held import held_code, hold_code

#: What a network's function is given, by these names.
ARGUMENTS = ("input_shape", "classes")

HOW = "A network is network(input_shape, classes), or takes nothing: def net(input_shape, classes): return …"


def hold_network(value: Callable[..., Any]) -> str:
    """Hold what builds a network, a function or a class that lives in no file; return its name.

    Raises
    ------
    UsageError
        Where it is a network itself, takes other arguments, or refers to what can't be sent to another process.
    """
    kind = type(value).__name__
    if not isinstance(value, type) and hasattr(value, "state_dict") and hasattr(value, "parameters"):
        raise UsageError(
            f"network is a {kind}, a network itself: an audit builds a new one for each of its models",
            hint=f"Give what builds it: network={kind}, or network=lambda input_shape, classes: {kind}(…).",
        )
    name = str(getattr(value, "__name__", None) or getattr(getattr(value, "func", None), "__name__", kind))
    _call_of(value, name)
    pickled({name: value})
    return hold_code("lambda" if name == "<lambda>" else name, value)


def network_of(name: str) -> Callable[[tuple[int, ...], int], Any]:
    """Return the held network of this name as a function ``(input_shape, classes)``."""
    return _call_of(held_code(name), name)


def identity_of(name: str) -> CodeIdentity:
    """Return what the held network of this name is known by, as it is now."""
    return identify_code(held_code(name))


def _call_of(value: Callable[..., Any], name: str) -> Callable[[tuple[int, ...], int], Any]:
    """Make anything that builds a network a function of the shape of an input and the number of classes."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # Of some functions that are written in C nothing is known.
        return value
    if all(argument in signature.parameters for argument in ARGUMENTS):
        return lambda input_shape, classes: value(input_shape=input_shape, classes=classes)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [one for one in signature.parameters.values() if one.default is one.empty]
    if not [one for one in required if one.kind in (*positional, inspect.Parameter.KEYWORD_ONLY)] and not any(
        one.kind is inspect.Parameter.VAR_POSITIONAL for one in required
    ):
        return lambda input_shape, classes: value()
    try:
        signature.bind((), 0)
    except TypeError as error:
        raise UsageError(f"network {name}{signature} can't be called with an input's shape and the classes: {error}",
                         hint=HOW) from error  # fmt: skip
    return value
