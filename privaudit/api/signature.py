"""Functions whose keyword arguments are the options of a model: their types, signature and help are taken from it."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from privaudit.config.audit_options import TalkOptions
from privaudit.config.options import Options, flag_of, help_of, python_types, words_of
from privaudit.errors import UsageError
from privaudit.runtime.progress import Audience, append, speaking_to, write_log

P = ParamSpec("P")
Q = ParamSpec("Q")
First = TypeVar("First", contravariant=True)
Given = TypeVar("Given", bound=Options)
Answer = TypeVar("Answer", covariant=True)
Other = TypeVar("Other", covariant=True)


class WithFirst(Protocol[First, P, Answer]):
    """A function whose first option may stand without its name."""

    @overload
    def __call__(self, *args: P.args, **options: P.kwargs) -> Answer: ...
    @overload
    def __call__(self, first: First, /, *args: P.args, **options: P.kwargs) -> Answer: ...


class EitherWay(Protocol[P, Answer, Q, Other]):
    """A function that answers otherwise where it is asked otherwise."""

    @overload
    def __call__(self, *args: P.args, **options: P.kwargs) -> Answer: ...
    @overload
    def __call__(self, *args: Q.args, **options: Q.kwargs) -> Other: ...


class Positional(Generic[First]):
    """The type of the first option, for `with_first`."""


def with_options(model: Callable[P, Given]) -> Callable[[Callable[[Given], Answer]], Callable[P, Answer]]:
    """Make a function of a model a function of its fields, every one of them by name."""
    return _taking(model)


def with_first(
    model: Callable[P, Given], first: Positional[First]
) -> Callable[[Callable[[Given], Answer]], WithFirst[First, P, Answer]]:
    """Do the same; what is an argument on the command line may stand without its name."""
    return _taking(model)


def either_way(
    model: Callable[P, Given], answer: type[Answer], otherwise: Callable[Q, Given], other: type[Other]
) -> Callable[[Callable[[Given], Answer | Other]], EitherWay[P, Answer, Q, Other]]:
    """Do the same for two models of one base, whose answers differ; at run time it is the base that is taken."""
    return _taking(model)


@contextmanager
def heard(options: Options) -> Iterator[None]:
    """Within it, progress and notes go where a command's options send them; so does its error, to the log."""
    if not isinstance(options, TalkOptions) or not (options.quiet or options.log):
        yield
        return
    log = None if options.log is None else Path(options.log).absolute()
    if log is not None:
        try:
            append(log, "")
        except OSError as error:
            raise UsageError(
                f"cannot write --log {log}: {error.strerror}", hint="Name a file in a folder that is there."
            ) from error
    with speaking_to(Audience(options.quiet, log)):
        write_log(f"asked for: {shlex.join(words_of(options))}")
        try:
            yield
        except BaseException as error:
            write_log(f"error: {error}" if isinstance(error, Exception) else f"stopped: {type(error).__name__}")
            raise


def _taking(model: Any) -> Callable[[Callable[[Any], Any]], Any]:
    def decorate(function: Callable[[Any], Any]) -> Any:
        types = {name: _shown(model, name, kind) for name, kind in python_types(model).items()}
        positional = [name for name in types if flag_of(model, name).is_argument]

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            if len(arguments) > len(positional):
                one = ", such as data=…" if "data" in types else ""
                raise TypeError(
                    f"{function.__name__}() takes its options by name{one}: {len(arguments)} stand without one"
                )
            asked = model(**dict(zip(positional, arguments, strict=False)), **options)
            with heard(asked):
                return function(asked)

        answers = inspect.signature(function).return_annotation
        parameters = [_parameter(model, name, kind) for name, kind in types.items()]
        parameters.sort(key=lambda parameter: parameter.kind)
        call.__signature__ = inspect.Signature(parameters, return_annotation=answers)  # type: ignore[attr-defined]
        call.__annotations__ = types | {"return": answers}
        call.__doc__ = _documented(model, inspect.getdoc(function) or "")
        return call

    return decorate


def _shown(model: type[Options], name: str, kind: Any) -> Any:
    """The type of an option; of one whose types are not imported for it, what they are called."""
    shown_as = flag_of(model, name).shown_as
    return kind if shown_as is None else Annotated[Any, f"{shown_as} | None"]


def _parameter(model: type[Options], name: str, kind: Any) -> inspect.Parameter:
    field = model.model_fields[name]
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD if flag_of(model, name).is_argument else inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if field.is_required() else field.default,
        annotation=kind,
    )


def _documented(model: type[Options], said: str) -> str:
    """A docstring with a section of parameters, before what the function returns."""
    summary, rule, rest = said.partition("Returns\n-------")
    help_below = "see the end of the command's --help"
    lines = [f"{name}\n    {help_of(model, name).replace('see below', help_below)}" for name in model.model_fields]
    return f"{summary}Parameters\n----------\n" + "\n".join(lines) + f"\n\n{rule}{rest}"
