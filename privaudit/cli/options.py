"""Click options, made from the models of `privaudit.config`; and ``--json``, which is the command line's alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click
from annotated_types import Ge, Gt, Le, Lt

from privaudit.cli.output import alone_on_stdout
from privaudit.config.options import Options, flag_name, flag_of, help_of, python_types

Command = Callable[..., Any]


def options_of(model: type[Options]) -> Callable[[Command], Command]:
    """Decorate a command's function with every option of a model; what is not typed is None, and so not given."""

    def decorate(function: Command) -> Command:
        for name, kind in reversed(python_types(model).items()):
            if flag_of(model, name).shown_as is None:
                function = _parameter(model, name, kind)(function)
        return function

    return decorate


def json_option(function: Command) -> Command:
    """``--json``; with or without it stdout holds the command's answer and nothing else."""
    option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
    return option(alone_on_stdout(function))


def _parameter(model: type[Options], name: str, kind: Any) -> Callable[[Command], Command]:
    field, flag = model.model_fields[name], flag_of(model, name)
    if flag.is_argument:
        return click.argument(name, required=field.is_required(), nargs=-1 if flag.is_repeated else 1)
    typed = flag_name(name)
    if kind is bool:
        return click.option(typed, name, is_flag=True, default=None, help=help_of(model, name))
    kinds = set(get_args(kind) or [kind]) - {type(None)}
    return click.option(
        typed,
        name,
        type=click.Path(path_type=Path, file_okay=not flag.is_folder)
        if kinds == {str, Path}
        else _number(kinds, field.metadata),
        metavar=flag.metavar,
        multiple=flag.is_repeated,
        # Typed not at all, it is not given: a file of settings may give it.
        callback=(lambda context, option, value: value or None) if flag.is_repeated else None,
        required=field.is_required(),
        help=help_of(model, name),
    )


def _number(kinds: set[Any], limits: list[Any]) -> click.ParamType[Any] | None:
    """A number within limits, or None for a text."""
    if kinds not in ({int}, {float}):
        return None
    bounds: dict[str, Any] = {}
    for limit in limits:
        match limit:
            case Ge(least) | Gt(least):
                bounds |= {"min": least, "min_open": isinstance(limit, Gt)}
            case Le(most) | Lt(most):
                bounds |= {"max": most, "max_open": isinstance(limit, Lt)}
    if kinds == {int}:
        return click.IntRange(**bounds) if bounds else click.INT
    return click.FloatRange(**bounds) if bounds else click.FLOAT
