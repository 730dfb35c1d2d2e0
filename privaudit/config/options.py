"""What an option is: a typed field, declared once, of an immutable model; a mistake is a `UsageError` that names it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from privaudit.errors import UsageError
from privaudit.objects.network import hold_network
from privaudit.runtime.registry import defining_file

#: For a field that validation narrows: types alone are declared again, under ``TYPE_CHECKING``.
NARROWED: Any = None

#: The longest value that an error repeats.
LONGEST_SHOWN = 120


@dataclass(frozen=True)
class Flag:
    """What the command line alone wants to know of an option.

    Parameters
    ----------
    metavar
        What stands for its value in help.
    is_argument
        It is typed without a flag, and is positional in Python.
    is_repeated
        It may be given several times.
    is_folder
        It names a folder.
    also
        Of an argument: the flag that gives it as well.
    shown_as
        Of an option that Python alone has: what its types are called.
    """

    metavar: str | None = None
    is_argument: bool = False
    is_repeated: bool = False
    is_folder: bool = False
    also: str | None = None
    shown_as: str | None = None


class Options(BaseModel):
    """The options of a command, or some that several share; every field has its default, limits and help.

    In a field's description ``{default}`` stands for its default. A field that is given as None is not given.

    Attributes
    ----------
    helps
        What a command says of options that it shares with others, where that differs from what they say.
    """

    helps: ClassVar[Mapping[str, str]] = {}

    # Strict, as TOML is: a number in quotes, or a truth value for a number, is a slip.
    # Validators are built when a model is first filled in: help needs none, and shared options never do.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=(), defer_build=True)

    if not TYPE_CHECKING:  # Types are those of each model's fields.

        def __init__(self, /, **given: Any) -> None:
            """Validate; `UsageError` names the first wrong entry."""
            try:
                super().__init__(**{name: _plain(value) for name, value in given.items() if value is not None})
            except ValidationError as error:
                raise _mistake(type(self), error.errors(include_url=False)[0]) from None

    @field_validator("*")
    @classmethod
    def _readable(cls, value: Any) -> Any:
        if isinstance(value, str | Path) and "\0" in str(value):
            raise ValueError("it holds the character NUL, which no name of a file has")
        return value

    def given(self) -> dict[str, object]:
        """Return the options that were given, validated, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}

    @classmethod
    def of(cls, other: Options) -> Self:
        """Return these options as they were given with another command: those that both take from the same models."""
        shared = [base for base in type(other).__mro__ if issubclass(base, Options) and issubclass(cls, base)]
        names = {name for base in shared for name in base.model_fields}
        return cls.model_validate({name: value for name, value in other.given().items() if name in names})

    def changed(self, **changes: object) -> Self:
        """Return a copy with some entries changed, which are not validated again."""
        return self.model_copy(update=changes)


def python_types(model: type[Options]) -> dict[str, Any]:
    """Return the type of each option, as it stands in a signature."""
    types = get_type_hints(model)
    return {name: types[name] for name in model.model_fields}


def help_of(model: type[Options], name: str) -> str:
    """Return an option's help, its default filled in."""
    field = model.model_fields[name]
    default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
    return model.helps.get(name, field.description or "").replace("{default}", default)


def flag_name(name: str) -> str:
    """``shadow_models -> --shadow-models``; ``from_``, since ``from`` is Python's own word, ``-> --from``."""
    return "--" + name.rstrip("_").replace("_", "-")


def words_of(options: Options) -> list[str]:
    """Return what one would type for the options that were given: ``["--shadows", "8", "--csv"]``."""
    words: list[str] = []
    for name, value in options.given().items():
        for one in value if isinstance(value, tuple) else [value]:
            if one is not False:
                argument = flag_of(type(options), name).is_argument
                words += [str(one)] if argument else [flag_name(name)] + ([] if one is True else [str(one)])
    return words


def flag_of(model: type[Options], name: str) -> Flag:
    """Return what the command line alone wants to know of an option."""
    field = model.model_fields[name]
    found = (entry for entry in [*field.metadata, *_metadata(field.annotation)] if isinstance(entry, Flag))
    return next(found, Flag())


def _metadata(annotation: Any) -> list[Any]:
    """What is annotated anywhere within a type."""
    return [*getattr(annotation, "__metadata__", ()), *(e for part in get_args(annotation) for e in _metadata(part))]


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    if isinstance(value, int | float):
        return value
    return int(value) if isinstance(value, Integral) else float(value) if isinstance(value, Real) else value


def _mistake(model: type[Options], problem: ErrorDetails) -> UsageError:
    """What is wrong with one entry."""
    name, known = str(problem["loc"][0]), sorted(model.model_fields)
    said = f"{name} = {shown(problem['input'])}"
    match problem["type"]:
        case "missing":
            return UsageError(f"{name} is missing", hint=_brief(model, name))
        case "extra_forbidden":
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            return UsageError(f"{said}: there is no such option{meant}", hint=f"Options: {', '.join(known)}.")
        case "literal_error":
            choices = problem["ctx"]["expected"].replace(" or ", ", ")
            return UsageError(f"{said}: unknown {name}, known are {choices}")
        case "string_type" if name == "forget":
            return UsageError(f"{said}: it is text", hint=f"{_brief(model, name)} Put ids into a file.")
    return UsageError(f"{said}: {problem['msg'].removeprefix('Value error, ')}", hint=_brief(model, name))


def _brief(model: type[Options], name: str) -> str:
    return help_of(model, name).replace("; see below", "")


def shown(value: object) -> str:
    """Return a value as an error may repeat it: never an array or a table, and nothing that goes on and on."""
    parts = list(value) if isinstance(value, list | tuple) else [value]
    if all(part is None or isinstance(part, str | int | float | Path) for part in parts):
        said = repr(value)
        return said if len(said) <= LONGEST_SHOWN else f"{said[:LONGEST_SHOWN]}…"
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" + (f" of shape {tuple(shape)}" if isinstance(shape, tuple) else "")


def _as_path(value: object) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError("Input is not a valid path")
    return Path(value)


def _as_folder(value: object) -> Path:
    path = _as_path(value)
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it is not UTF-8, which the tables' library wants of paths") from None
    return path


def _as_texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
        raise ValueError("it is neither a text nor a list of texts")
    return tuple(value)


def _as_reference(value: object, info: ValidationInfo) -> str:
    if not isinstance(value, str | Path) and not callable(value):
        raise ValueError("it is no name, path or function")
    return reference(value, info.field_name or "")


#: A file or a folder that is read.
AnyPath = Annotated[str | Path, PlainValidator(_as_path)]

#: A folder that is written to.
Folder = Annotated[str | Path, PlainValidator(_as_folder), Flag(is_folder=True)]

#: One text or several.
Texts = Annotated[str | Sequence[str], PlainValidator(_as_texts)]

#: A name, ``module:function``, ``FILE.py:function``, or the function itself, which must live in a file of its own,
#: unless it builds a network.
Named = Annotated[str | Path | Callable[..., Any], PlainValidator(_as_reference)]


def reference(value: str | Path | Callable[..., Any], what: str) -> str:
    """Return what workers and later commands find a function by; names and paths stay as they are.

    A network that can't be found again (it is nameless, local, or of the script or notebook that runs) is held as an
    object.

    Raises
    ------
    UsageError
        For another function that can't be found again.
    """
    if not callable(value):
        return str(value)
    name = getattr(value, "__qualname__", "")
    module = inspect.getmodule(value)
    if not name.isidentifier() or module is None or module.__name__ == "__main__" or not hasattr(module, name):
        if what == "network":
            return hold_network(value)
        raise UsageError(
            f"{what} {name or 'a ' + type(value).__name__} can't be found again by workers and later commands: it must "
            "be a function at the top of a file of its own, not of the script that runs",
            hint="Put it into a file, say own.py, and give that one: 'own.py:function', or import it from there.",
        )
    file = defining_file(value)
    return (
        f"{module.__name__}:{name}" if file is None or not file.endswith(".py") else f"{Path(file).absolute()}:{name}"
    )
