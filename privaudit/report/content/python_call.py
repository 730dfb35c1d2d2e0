"""What repeats an audit of objects: a call in Python, since a shell has no objects."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, get_args

from privaudit.config import ScoreOptions, UnlearnOptions
from privaudit.config.options import Options, flag_name, python_types
from privaudit.objects.held import is_held_name, title_of
from privaudit.results.audit.score_results import About

_OPTIONS: dict[str, type[Options]] = {"score": ScoreOptions, "unlearn": UnlearnOptions}


def repeated(words: Sequence[str], about: About) -> str:
    """Return a command, given by its words, as it is typed or, of an audit of objects, as the call that does the same.

    ``privaudit score --dataset '<customers>' --label churned`` becomes
    ``privaudit.score(data=…, dataset='customers', label='churned')``.
    """
    data = about.data is not None and is_held_name(about.data.dataset)
    network = about.identity is not None and is_held_name(about.identity.network)
    if not (data or network):
        return shlex.join(words)
    _, name, *typed = words
    given = _arguments(_OPTIONS[name], typed)
    objects = {"data": data, "network": network}
    said = {what: "…" for what, is_object in objects.items() if is_object and (name == "unlearn" or what == "data")}
    for flag, value in given.items():
        if flag == "network" and network:
            said[flag] = title_of(value)
        else:
            said[flag] = _literal(_OPTIONS[name], flag, title_of(value) if flag == "dataset" and data else value)
    return f"privaudit.{name}({', '.join(f'{flag}={value}' for flag, value in said.items())})"


def with_flag(command: str, name: str) -> str:
    """Return the same command with a flag that has no value: ``show_samples``."""
    if command.startswith("privaudit."):
        return f"{command[:-1]}, {name}=True)"
    return f"{command} {flag_name(name)}"


def _arguments(model: type[Options], words: list[str]) -> dict[str, Any]:
    """``["--shadows", "8", "--csv", "--group", "a", "--group", "b"]`` by name; of several a list."""
    given: dict[str, Any] = {}
    at = 0
    while at < len(words):
        name = words[at].removeprefix("--").replace("-", "_")
        name = name if name in model.model_fields else f"{name}_"
        has_value = at + 1 < len(words) and not words[at + 1].startswith("--")
        value: Any = words[at + 1] if has_value else True
        if name in given:
            value = [*(given[name] if isinstance(given[name], list) else [given[name]]), value]
        given[name] = value
        at += 2 if has_value else 1
    return given


def _literal(model: type[Options], name: str, value: Any) -> str:
    """A value as Python writes it: a number where the option is no text."""
    kind = python_types(model)[name]
    is_number = set(get_args(kind) or [kind]) <= {int, float, type(None)}
    return str(value) if is_number and isinstance(value, str) else repr(value)
