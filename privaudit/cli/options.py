"""Click options, made from the models of `privaudit.config`; and ``--json``, which is the command line's alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click
from annotated_types import Ge, Gt, Le, Lt

from privaudit.cli.output import alone_on_stdout
from privaudit.config import DEFAULT_STORE
from privaudit.config.options import Flag, Options, flag_name, flag_of, help_of, python_types

Command = Callable[..., Any]

#: Where click's context keeps what a flag gave for an argument.
_GIVEN_BY_FLAG = "privaudit.given_by_flag"


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
        return _argument(model, name, flag)
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


def _argument(model: type[Options], name: str, flag: Flag) -> Callable[[Command], Command]:
    """An argument, and the flag that gives it as well."""
    required = model.model_fields[name].is_required()
    if flag.also is None:
        return click.argument(name, required=required, nargs=-1 if flag.is_repeated else 1)

    def keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
        context.meta[_GIVEN_BY_FLAG] = value

    def either(context: click.Context, argument: click.Parameter, value: str | None) -> str | None:
        by_flag: str | None = context.meta.get(_GIVEN_BY_FLAG)
        if None not in (value, by_flag) and value != by_flag:
            raise click.UsageError(f"'{value}' and {flag.also} {by_flag}: name one.", context)
        if value is None and by_flag is None and required:
            raise click.MissingParameter(ctx=context, param=argument)
        return by_flag if value is None else value

    option = click.option(
        flag.also,
        f"as_{flag.also.removeprefix('--')}",
        expose_value=False,
        is_eager=True,
        callback=keep,
        metavar=name.upper(),
        shell_complete=_names_of_audits,
        help=help_of(model, name),
    )
    argument = click.argument(
        name, required=False, metavar=flag.metavar, callback=either, shell_complete=_names_of_audits
    )

    def decorate(function: Command) -> Command:
        return option(argument(function))

    return decorate


def _names_of_audits(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """What a shell offers: the audits of the store."""
    from privaudit.shadow.store import audits_in

    names = audits_in(Path(context.params.get("store") or DEFAULT_STORE))
    return [name for name in names if name.startswith(incomplete)]


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
