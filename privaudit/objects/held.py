"""Objects that were given in Python, by the names that settings, plans and descriptions of audits call them by.

A name is the object's title in brackets, ``<customers>``, which is no module's and hardly a file's. Nothing is stored:
where the process ends, so does what it held, and whoever asks then is told to give it again. Of one title the last
object is held, so that a notebook that audits one table after the other holds one.
"""

from __future__ import annotations

import re
from typing import Any

from privaudit.errors import UsageError

_NAME = re.compile(r"<[^<>]+>")

#: Data and code by name; what is sent to workers is code alone.
_data: dict[str, Any] = {}
_code: dict[str, Any] = {}


def is_held_name(name: str) -> bool:
    """Whether a name is that of an object rather than of a file, a module or one of ours."""
    return _NAME.fullmatch(name) is not None


def title_of(name: str) -> str:
    """``<customers> -> customers``."""
    return name[1:-1]


def hold_data(title: str, value: Any) -> str:
    """Hold data under a title; return its name."""
    return _hold(_data, title, value)


def hold_code(title: str, value: Any) -> str:
    """Hold a function or a class under a title; return its name."""
    return _hold(_code, title, value)


def _hold(held: dict[str, Any], title: str, value: Any) -> str:
    name = f"<{re.sub('[<>]', '', title) or 'object'}>"
    held[name] = value
    return name


def is_held_data(name: str) -> bool:
    """Whether data of this name is at hand."""
    return name in _data


def held_data(name: str) -> Any:
    """Return the data of this name; `UsageError` says how to give it again."""
    if name not in _data:
        raise UsageError(
            f"the data, {title_of(name)}, was given in Python as an object: it was not stored, and is not at hand here",
            hint="Give it again: in Python, privaudit.unlearn(data=…), or privaudit.score(data=…) as before. What is "
            "stored needs no data: report, verify, gate, compare, purge, list, load_model.",
        )
    return _data[name]


def held_code(name: str) -> Any:
    """Return the function or class of this name; `UsageError` says how to give it again."""
    if name not in _code:
        raise UsageError(
            f"the network {name} was defined in Python, in no file of its own: it was not stored, and is not at hand "
            "here",
            hint="Define it as it was, and give it again: network=…, which score, unlearn, load_model and export take "
            "in Python. In a file of its own it would be found: network='own.py:function'.",
        )
    return _code[name]


def all_code() -> dict[str, Any]:
    """Every function and class that is held, by name."""
    return dict(_code)


def take_in(code: dict[str, Any]) -> None:
    """Hold what another process does: its jobs ask for it by the same names."""
    _code.update(code)
